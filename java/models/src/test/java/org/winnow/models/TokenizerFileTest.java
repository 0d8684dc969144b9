package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/** A tokenizer.json is checked in Java, because the library ends the process on some contents. */
class TokenizerFileTest {
  private static final String SMALL =
      "{'version':'1.0','truncation':null,'padding':null,'added_tokens':["
          + "{'id':0,'content':'<s>','single_word':false,'lstrip':false,'rstrip':false,'normalized':false,'special':true},"
          + "{'id':5,'content':'<e>','single_word':false,'lstrip':false,'rstrip':false,'normalized':true,'special':false}],"
          + "'normalizer':{'type':'NFC'},"
          + "'pre_tokenizer':{'type':'Sequence','pretokenizers':[{'type':'Split','pattern':{'Regex':'x y'},"
          + "'behavior':'Isolated','invert':false},{'type':'Metaspace','replacement':'_','prepend_scheme':'always'}]},"
          + "'post_processor':{'type':'Sequence','processors':[{'type':'TemplateProcessing','single':[{'SpecialToken':"
          + "{'id':'<s>','type_id':0}},{'Sequence':{'id':'A','type_id':0}}],'pair':[{'Sequence':{'id':'A','type_id':0}},"
          + "{'Sequence':{'id':'B','type_id':1}}],'special_tokens':{'<s>':{'id':'<s>','ids':[0],'tokens':['<s>']}}}]},"
          + "'decoder':{'type':'Sequence','decoders':[{'type':'Fuse'},{'type':'Strip','content':' ','start':1,'stop':0}]},"
          + "'model':{'type':'BPE','dropout':null,'unk_token':null,'vocab':{'<s>':0,'a':1,'b':2,'ab':3,'_':4},"
          + "'merges':['a b']}}";

  @TempDir Path folder;

  private Path write(String json) throws IOException {
    return Files.writeString(folder.resolve("tokenizer.json"), json.replace('\'', '"'));
  }

  @Test
  void takesASmallOne() throws IOException {
    try (Tokenizer tokenizer = Tokenizer.open(write(SMALL))) {
      assertThat(tokenizer.encode("ab<e>b", true)).containsExactly(0, 4, 3, 5, 4, 2);
    }
  }

  /** Each row breaks one thing. Without its check, some rows end the process at the first text. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "'version':'1.0' | 'version':'2.0' | version: expected 1.0, found 2.0",
        "'version':'1.0' | 'version':'1.0','version':'1.0' | version: expected one entry of this name, found a second one",
        "'version':'1.0' | 'version':'1.0','another':{'key':[1]} | another: expected a section of a tokenizer, found another key",
        "'id':5 | 'id':6 | added token <e>: expected id 5, the next one, found 6",
        "'id':0 | 'id':1 | added token <s>: expected id 0 as in the vocabulary, found 1",
        "'id':0 | 'id':-1 | added token <s>: expected an id in [0, 4194304), found -1",
        "'id':5 | 'id':4294967295 | added token <e>: expected an id in [0, 4194304), found 4294967295",
        "'content':'<e>' | 'content':'<s>' | added token <s>: expected id 0 as in the vocabulary, found 5",
        "'content':'<e>' | 'content':'' | added_tokens: expected a content, found",
        "'lstrip':false | 'lstrip':0 | added token <s>: expected lstrip true or false, found 0",
        "'added_tokens':[ | 'added_tokens':[1, | added_tokens: expected objects, found 1",
        "{'type':'NFC'} | {'type':'NFX'} | normalizer of type NFX is not supported",
        "{'type':'NFC'} | {'kind':'NFC'} | normalizer.type: expected the name of a type, found null",
        "{'type':'NFC'} | 'NFC' | normalizer: expected an object, found NFC",
        "{'type':'NFC'} | {'type':'Replace','pattern':{'String':'<e>'},'content':''} | added token <e>: expected a content that the normalizer leaves a text of, found normalized true",
        "{'type':'NFC'} | {'type':'Replace','pattern':{'String':''},'content':'x'} | normalizer.pattern: expected a text",
        "{'type':'NFC'} | {'type':'Sequence','normalizers':[{'type':'Strip','strip_left':true}]} | normalizer.normalizers[0].strip_right: expected true or false, found null",
        "{'type':'NFC'} | {'type':'Precompiled','precompiled_charsmap':'?'} | normalizer.precompiled_charsmap: expected a table of replacements, found no base64",
        "{'type':'NFC'} | {'type':'Prepend','prepend':''} | normalizer.prepend: expected a text, found",
        "'Regex':'x y' | 'Regex':'(a+)+b' | pattern: expected a pattern that takes linear time, found a repeated group that holds a repetition",
        "'Regex':'x y' | 'Regex':'(a)\\\\1' | found a reference",
        "'Regex':'x y' | 'Regex':'a(' | found a ( without )",
        "'Regex':'x y' | 'Text':'a' | pre_tokenizer.pretokenizers[0].pattern: expected a String or a Regex, found [Text]",
        "'Isolated' | 'Isolate' | pre_tokenizer.pretokenizers[0].behavior: expected one of [Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous], found Isolate",
        "'replacement':'_' | 'replacement':'__' | replacement: expected one character, found __",
        "'always' | 'often' | prepend_scheme: expected one of [first, never, always], found often",
        "'SpecialToken':{'id':'<s>' | 'SpecialToken':{'id':'<t>' | single: expected one of the special_tokens, found <t>",
        "'single':[ | 'single':[{'Sequence':{'id':'B','type_id':0}}, | single: expected one of [A], found B",
        "'ids':[0] | 'ids':[0,1] | tokens: expected 2 tokens, found 1",
        "'processors':[ | 'processors':[{'type':'BertProcessing','sep':['a',1],'cls':['b',2]}, | post_processor: expected at most one processor that adds tokens, found 2",
        "{'type':'Fuse'} | {'type':'CTC'} | decoder.decoders[0] of type CTC is not supported",
        "{'type':'Fuse'} | {'type':'Fuse'},{'type':'ByteFallback'} | a decoder with ByteFallback behind Fuse, ByteLevel or ByteFallback is not supported",
        "'start':1 | 'start':-1 | start: expected a number in [0, 4194304), found -1",
        "'type':'BPE' | 'type':'BPF' | model of type BPF is not supported",
        "'dropout':null | 'dropout':0.5 | dropout: expected null: with dropout a text has no fixed ids, found 0.5",
        "'unk_token':null | 'unk_token':'?' | unk_token: expected a token of the vocabulary, found ?",
        "'unk_token':null | 'continuing_subword_prefix':'ab' | merges: expected a second token that begins with ab, found b",
        "'ab':3 | 'ab':1 | token ab: expected an id of its own, found 1",
        "'ab':3 | 'ab':-3 | token ab: expected an id in [0, 4194304), found -3",
        "'ab':3 | 'ab':4194304 | token ab: expected an id in [0, 4194304), found 4194304",
        "'ab':3 | 'ab':'3' | vocab: expected an id, found 3",
        "'ab':3 | 'a':3 | a: expected one entry of this name, found a second one",
        "'ab':3 | 'c':3 | merges: expected tokens of the vocabulary, found ab",
        "'a b' | 'a c' | merges: expected tokens of the vocabulary, found c",
        "'a b' | 'ab' | merges: expected two tokens with a space between, found ab",
        "'a b' | ['a'] | merges: expected two tokens, found ]",
        "['a b'] | null | merges: expected a list, found null",
        ",'merges':['a b'] | '' | model: expected merges, found none",
        "'model':{ | 'modell':{ | modell: expected a section of a tokenizer, found another key",
      })
  void namesWhatIsWrong(String old, String replacement, String message) throws IOException {
    String text = replacement == null ? "" : replacement.equals("''") ? "" : replacement;
    assertThat(SMALL).contains(old);
    Path file = write(SMALL.replace(old, text));
    assertThatThrownBy(() -> Tokenizer.open(file))
        .isInstanceOfAny(CheckpointException.class, UnsupportedFormatException.class)
        .hasMessageStartingWith(file + ": ")
        .hasMessageContaining(message);
  }

  /** The forms of published files. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "'truncation':null | 'truncation':{'direction':'Right','max_length':2,'strategy':'LongestFirst','stride':0}",
        "'padding':null | 'padding':{'strategy':{'Fixed':9},'direction':'Right','pad_to_multiple_of':null,'pad_id':0,'pad_type_id':0,'pad_token':'<s>'}",
        "'type':'BPE', | ''",
        "'dropout':null | 'dropout':0.0,'continuing_subword_prefix':'','end_of_word_suffix':'','fuse_unk':false,'byte_fallback':false,'ignore_merges':true",
        "'a b' | ['a','b']",
        "'a b' | '#version: 0.2','a b'",
        "'Regex':'x y' | 'String':' '",
      })
  void takesWhatPublishedFilesHold(String old, String replacement) throws IOException {
    String text = replacement.equals("''") ? "" : replacement;
    assertThat(SMALL).contains(old);
    try (Tokenizer tokenizer = Tokenizer.open(write(SMALL.replace(old, text)))) {
      assertThat(tokenizer.encode("ab<e>b", true)).containsExactly(0, 4, 3, 5, 4, 2);
    }
  }

  @ParameterizedTest
  @EnumSource
  void takesEveryKind(SmallTokenizers kind) throws IOException {
    Path file = Files.writeString(folder.resolve("tokenizer.json"), kind.json);
    TokenizerFile read = TokenizerFile.read(file);
    for (int id = 0; id < kind.tokens.size(); id++)
      assertThat(read.text(id)).isEqualTo(kind.tokens.get(id));
    assertThat(read.text(kind.tokens.size())).isNull();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
        " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
        "[^\\r\\n\\p{L}\\p{N}]?((?=[\\p{L}])([^a-z]))*((?=[\\p{L}])([^A-Z]))+|\\s+(?!\\S)|\\s+",
        "(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|[]a]+|[^]]+|a{2,3}",
        "[\\p{Han}]+|[\\p{Lu}&&[^\\p{Han}]]*"
      })
  void takesPublishedPatterns(String pattern) {
    assertThat(PatternCheck.fault(pattern)).isNull();
    assertThat(TextCutter.SPLITTING).allMatch(each -> PatternCheck.fault(each) == null);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a*)*",
        "(a|b+)+",
        "((a+)b)*",
        "(?:x{2,})*",
        "(a+){5}",
        "(a)\\1",
        "(?<n>a)\\k<n>",
        "[a",
        "\\"
      })
  void refusesPatternsThatMayTakeExponentialTime(String pattern) {
    assertThat(PatternCheck.fault(pattern)).isNotNull();
  }

  @Test
  void boundsTheBytesOfAToken() throws IOException {
    Map<SmallTokenizers, Long> expected =
        Map.of(
            SmallTokenizers.BYTE_LEVEL, 5L, // <unk>
            SmallTokenizers.LLAMA, 6L, // <0x00>
            SmallTokenizers.METASPACE, 6L,
            SmallTokenizers.METASPACE_NEVER, 0L, // unknown characters are fused
            SmallTokenizers.WORD_PIECE, 0L); // a long word is one unknown token
    for (Map.Entry<SmallTokenizers, Long> each : expected.entrySet()) {
      Path file = Files.writeString(folder.resolve("tokenizer.json"), each.getKey().json);
      assertThat(TextLimits.maxBytesPerToken(TokenizerFile.read(file)))
          .as(each.getKey().name())
          .isEqualTo(each.getValue());
    }
    for (String normalizer : List.of("\"NFKC\"", "\"Lowercase\"", "\"StripAccents\"")) {
      String json =
          SmallTokenizers.BYTE_LEVEL.json.replace(
              "\"normalizer\":null", "\"normalizer\":{\"type\":" + normalizer + "}");
      Path file = Files.writeString(folder.resolve("tokenizer.json"), json);
      assertThat(TextLimits.maxBytesPerToken(TokenizerFile.read(file))).isZero();
    }
  }

  @Test
  void checksTablesOfReplacements() {
    byte[] one = new byte[4 + 1024 + 2];
    one[1] = 4; // 1,024 bytes of trie
    assertThat(charsmap(one)).isNull(); // the root has no children
    assertThat(charsmap(new byte[2])).isEqualTo("2 bytes");
    one[1] = 8;
    assertThat(charsmap(one)).isEqualTo("a trie of 2048 bytes");
    one[1] = 4;
    one[6] = 4; // the root's children would lie beyond the array
    assertThat(charsmap(one)).isEqualTo("a trie that leaves its array");
  }

  private static String charsmap(byte[] bytes) {
    return PrecompiledCharsmap.fault(
        new String(Base64.getEncoder().encode(bytes), StandardCharsets.US_ASCII));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "{'add_bos_token':'yes'} | add_bos_token: expected true or false, found yes",
        "{'bos_token':1} | bos_token: expected a text or an object with its content, found 1",
        "{'add_bos_token':true,'bos_token':'ab c'} | expected bos_token of one token, found ab c",
      })
  void checksTheConfiguration(String configuration, String message) throws IOException {
    write(SMALL);
    Files.writeString(folder.resolve("tokenizer_config.json"), configuration.replace('\'', '"'));
    assertThatThrownBy(() -> Tokenizer.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("tokenizer_config.json: " + message);
  }
}
