package org.winnow.memory;

import static org.winnow.memory.ExpertLayout.Form.COPIED;
import static org.winnow.memory.ExpertLayout.Form.TO_F32;
import static org.winnow.memory.ExpertLayout.Form.TRANSPOSED;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.UnsupportedFormatException;
import org.winnow.memory.ExpertLayout.Part;
import org.winnow.memory.ExpertLayout.Range;
import org.winnow.memory.ExpertLayout.Rearranged;
import org.winnow.memory.ExpertLayout.Role;

/** Plans the layouts of a store's experts, each kind of checkpoint in one method. */
final class ExpertLayouts {
  private static final long LINE_BYTES = 64;

  private final Checkpoint checkpoint;
  private final long hiddenSize;
  private final long intermediateSize;
  private DType weightType; // that of the first matrix seen; all others must agree

  ExpertLayouts(Checkpoint checkpoint, long hiddenSize, long intermediateSize) {
    this.checkpoint = checkpoint;
    this.hiddenSize = hiddenSize;
    this.intermediateSize = intermediateSize;
  }

  DType weightType() {
    return weightType;
  }

  ExpertLayout separate(String gate, String up, String down) {
    long size = hiddenSize * intermediateSize;
    Plan plan = new Plan();
    plan.stored(Role.GATE, matrix(gate, intermediateSize, hiddenSize), 0, size);
    plan.stored(Role.UP, matrix(up, intermediateSize, hiddenSize), 0, size);
    plan.stored(Role.DOWN, matrix(down, hiddenSize, intermediateSize), 0, size);
    return plan.finish();
  }

  ExpertLayout fused(int numExperts, int expert, String gateUpName, String downName) {
    TensorInfo gateUp = matrix(gateUpName, numExperts, 2 * intermediateSize, hiddenSize);
    TensorInfo down = matrix(downName, numExperts, hiddenSize, intermediateSize);
    long size = hiddenSize * intermediateSize;
    Plan plan = new Plan();
    plan.stored(Role.GATE, gateUp, 2 * expert * size, size);
    plan.stored(Role.UP, gateUp, (2 * expert + 1) * size, size);
    plan.stored(Role.DOWN, down, expert * size, size);
    return plan.finish();
  }

  ExpertLayout interleaved(
      int numExperts,
      int expert,
      String gateUpName,
      String gateUpBiasName,
      String downName,
      String downBiasName) {
    TensorInfo gateUp = matrix(gateUpName, numExperts, hiddenSize, 2 * intermediateSize);
    TensorInfo down = matrix(downName, numExperts, intermediateSize, hiddenSize);
    TensorInfo gateUpBias = floating(gateUpBiasName, numExperts, 2 * intermediateSize);
    TensorInfo downBias = floating(downBiasName, numExperts, hiddenSize);
    long size = hiddenSize * intermediateSize;
    Plan plan = new Plan();
    plan.rearranged(
        gateUp,
        2 * expert * size,
        hiddenSize,
        2 * intermediateSize,
        plan.part(Role.GATE, TRANSPOSED, 0, 2, intermediateSize, size * weightType.sizeBytes()),
        plan.part(Role.UP, TRANSPOSED, 1, 2, intermediateSize, size * weightType.sizeBytes()));
    plan.rearranged(
        gateUpBias,
        2 * expert * intermediateSize,
        1,
        2 * intermediateSize,
        plan.part(Role.GATE_BIAS, TO_F32, 0, 2, intermediateSize, intermediateSize * Float.BYTES),
        plan.part(Role.UP_BIAS, TO_F32, 1, 2, intermediateSize, intermediateSize * Float.BYTES));
    plan.rearranged(
        down,
        expert * size,
        intermediateSize,
        hiddenSize,
        plan.part(Role.DOWN, TRANSPOSED, 0, 1, hiddenSize, size * weightType.sizeBytes()));
    plan.rearranged(
        downBias,
        expert * hiddenSize,
        1,
        hiddenSize,
        plan.part(Role.DOWN_BIAS, TO_F32, 0, 1, hiddenSize, hiddenSize * Float.BYTES));
    return plan.finish();
  }

  private TensorInfo matrix(String name, long... shape) {
    TensorInfo tensor = floating(name, shape);
    if (weightType == null) weightType = tensor.dtype();
    if (tensor.dtype() != weightType) {
      throw new CheckpointException(
          tensor.file(),
          name,
          "type " + weightType + ", as the other experts have",
          tensor.dtype().toString());
    }
    return tensor;
  }

  private TensorInfo floating(String name, long... shape) {
    TensorInfo tensor = checkpoint.require(name);
    if (tensor.dtype() == null)
      throw new UnsupportedFormatException(
          tensor.file() + ": " + name + ": type " + tensor.storedType() + " is not supported yet");
    if (!tensor.dtype().isFloating())
      throw new CheckpointException(
          tensor.file(), name, "type f32, bf16 or f16", tensor.storedType());
    if (!Arrays.equals(tensor.shape(), shape)) {
      throw new CheckpointException(
          tensor.file(), name, "shape " + Arrays.toString(shape), Arrays.toString(tensor.shape()));
    }
    return tensor;
  }

  /** One expert's layout in the making. */
  private final class Plan {
    /** A matrix to be read straight to its place. */
    private record Piece(Role role, TensorInfo tensor, long offsetBytes, long sizeBytes) {}

    private final List<Piece> pieces = new ArrayList<>();
    private final List<Range> direct = new ArrayList<>();
    private final List<Rearranged> rearranged = new ArrayList<>();
    private final long[] places = new long[Role.values().length];
    private long slotBytes;
    private long storedBytes;
    private long readBytes;

    Plan() {
      Arrays.fill(places, -1);
    }

    /** Elements of a tensor that are laid out as they are computed. */
    void stored(Role role, TensorInfo tensor, long firstElement, long numElements) {
      int elementBytes = tensor.dtype().sizeBytes();
      Piece piece =
          new Piece(
              role,
              tensor,
              tensor.offset() + firstElement * elementBytes,
              numElements * elementBytes);
      if (piece.offsetBytes % elementBytes == 0) {
        pieces.add(piece);
        storedBytes += piece.sizeBytes;
      } else { // elements of an oddly placed tensor would stay misaligned in memory
        rearranged(
            tensor,
            firstElement,
            numElements / hiddenSize,
            hiddenSize,
            part(role, COPIED, 0, 1, hiddenSize, piece.sizeBytes));
      }
    }

    Part part(
        Role role,
        ExpertLayout.Form form,
        long firstColumn,
        long columnStep,
        long numColumns,
        long sizeBytes) {
      long place = reserve(LINE_BYTES, sizeBytes);
      places[role.ordinal()] = place;
      return new Part(form, firstColumn, columnStep, numColumns, place);
    }

    void rearranged(
        TensorInfo tensor, long firstElement, long numRows, long numColumns, Part... parts) {
      RangeReader reader = checkpoint.reader(tensor.file());
      long offset = tensor.offset() + firstElement * tensor.dtype().sizeBytes();
      Rearranged matrix =
          new Rearranged(
              reader,
              tensor.file(),
              tensor.name(),
              offset,
              tensor.dtype(),
              numRows,
              numColumns,
              List.of(parts));
      rearranged.add(matrix);
      storedBytes += numRows * matrix.rowBytes();
      readBytes += ExpertLoader.readBytes(matrix, checkpoint.fileSizeBytes(tensor.file()));
    }

    private long reserve(long alignment, long sizeBytes) {
      long place = Checkpoint.roundUp(slotBytes, alignment);
      slotBytes = place + sizeBytes;
      return place;
    }

    /** Joins pieces that touch, or share a block of the disk, into one read. */
    ExpertLayout finish() {
      pieces.sort(
          Comparator.<Piece, String>comparing(piece -> piece.tensor.file().toString())
              .thenComparingLong(Piece::offsetBytes));
      for (int first = 0; first < pieces.size(); ) {
        TensorInfo tensor = pieces.get(first).tensor;
        RangeReader reader = checkpoint.reader(tensor.file());
        long alignment = reader.alignmentBytes();
        long begin = pieces.get(first).offsetBytes / alignment * alignment;
        long end = begin;
        int next = first;
        while (next < pieces.size()
            && pieces.get(next).tensor.file().equals(tensor.file())
            && (next == first
                || pieces.get(next).offsetBytes / alignment * alignment
                    <= Checkpoint.roundUp(end, alignment))) {
          end = Math.max(end, pieces.get(next).offsetBytes + pieces.get(next).sizeBytes);
          next++;
        }
        long sizeBytes = Checkpoint.roundUp(end, alignment) - begin;
        long place = reserve(Math.max(alignment, LINE_BYTES), sizeBytes);
        if (alignment == 1)
          place += begin % LINE_BYTES; // elements as aligned in memory as in the file
        if (alignment == 1) slotBytes += LINE_BYTES;
        for (Piece piece : pieces.subList(first, next))
          places[piece.role.ordinal()] = place + piece.offsetBytes - begin;
        List<ExpertLayout.Piece> named =
            pieces.subList(first, next).stream()
                .map(p -> new ExpertLayout.Piece(p.tensor.name(), p.offsetBytes, p.sizeBytes))
                .toList();
        direct.add(new Range(reader, tensor.file(), begin, sizeBytes, end - begin, place, named));
        readBytes += Math.min(sizeBytes, checkpoint.fileSizeBytes(tensor.file()) - begin);
        first = next;
      }
      slotBytes = Checkpoint.roundUp(slotBytes, RangeReader.DIRECT_ALIGNMENT_BYTES);
      return new ExpertLayout(
          List.copyOf(direct), List.copyOf(rearranged), places, slotBytes, storedBytes, readBytes);
    }
  }
}
