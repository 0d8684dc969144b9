package org.winnow.cli;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.winnow.Tensor;
import org.winnow.models.ForwardListener;
import org.winnow.models.LanguageModel;

/**
 * A hash of every bit of every logit of a sequence. It tells whether two runs computed the same
 * logits.
 */
final class LogitsDigest implements ForwardListener {
  private final MessageDigest digest;

  private LogitsDigest() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has SHA-256
    }
  }

  /** Computes a sequence and hashes its logits at every position. */
  static String of(LanguageModel model, int[] ids) {
    LogitsDigest logits = new LogitsDigest();
    model.forward(ids, 0, logits);
    return HexFormat.of().formatHex(logits.digest.digest(), 0, 8);
  }

  @Override
  public void onLogits(int firstPosition, Tensor logits) {
    ByteBuffer bytes = logits.asByteBuffer();
    bytes.position(0).limit(Math.toIntExact(logits.sizeBytes()));
    digest.update(bytes);
  }
}
