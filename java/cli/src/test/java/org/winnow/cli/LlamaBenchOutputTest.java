package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Output of llama-bench as llama.cpp and ik_llama.cpp print it, shortened. */
class LlamaBenchOutputTest {
  private static final PeerResult PREFILL = new PeerResult("pp512", 8, 7285.676949);
  private static final PeerResult DECODE = new PeerResult("tg128", 8, 119.915244);

  @Test
  void aTableWithTextAroundIt() throws IOException {
    String table =
        """
        warning: asserts enabled, performance may be affected
        | model                          |       size |     params | backend    | threads | rtr |          test |              t/s |
        | ------------------------------ | ---------: | ---------: | ---------- | ------: | --: | ------------: | ---------------: |
        | qwen3moe ?B BF16               |   4.88 GiB |     2.62 B | CPU        |       1 |   1 |         pp512 |    548.20 ± 3.11 |
        | qwen3moe ?B BF16               |   4.88 GiB |     2.62 B | CPU        |       2 |   1 |          tg64 |     64.75 ± 0.20 |
        | qwen3moe ?B BF16               |   4.88 GiB |     2.62 B | CPU        |       2 |   1 |  tg64 @ d8192 |     30.00 +/- 1  |

        build: 8337e4cd (4242)
        """;
    assertThat(LlamaBenchOutput.parse(table))
        .containsExactly(
            new PeerResult("pp512", 1, 548.2),
            new PeerResult("tg64", 2, 64.75),
            new PeerResult("tg64 @ d8192", 2, 30));
  }

  @Test
  void aTableWithoutThreads() throws IOException {
    String table =
        """
        | model                | ngl | test       |              t/s |
        | -------------------- | --: | ---------- | ---------------: |
        | llama 7B mostly Q4_0 |  99 | pp 512     |  2368.80 ± 93.24 |
        """;
    assertThat(LlamaBenchOutput.parse(table)).containsExactly(new PeerResult("pp512", 0, 2368.80));
  }

  @Test
  void csv() throws IOException {
    String csv =
        """
        build_commit,cpu_info,n_threads,tensor_split,n_prompt,n_gen,n_depth,avg_ns,avg_ts,stddev_ts
        "8cf427ff","AMD ""Ryzen"", 8 cores","8","0.00","512","0","0","70285660","7285.676949","100.06"
        "8cf427ff","AMD","8","0.00","0","128","0","1067431600","119.915244","0.43"
        "8cf427ff","AMD","8","0.00","0","128","512","1067431600","100.5","0.43"
        """;
    assertThat(LlamaBenchOutput.parse(csv))
        .containsExactly(PREFILL, DECODE, new PeerResult("tg128 @ d512", 8, 100.5));
  }

  @Test
  void json() throws IOException {
    String json =
        """
        [
          {
            "build_commit": "8cf427ff",
            "n_threads": 8,
            "embeddings": false,
            "n_prompt": 512,
            "n_gen": 0,
            "avg_ts": 7285.676949,
            "stddev_ts": 140.3,
            "samples_ts": [ 6863.1, 7147.55 ]
          },
          {
            "n_threads": 8,
            "n_prompt": 0,
            "n_gen": 128,
            "avg_ts": 119.915244,
            "test": "tg128",
            "samples_ts": [ 119.0 ]
          }
        ]
        """;
    assertThat(LlamaBenchOutput.parse(json)).containsExactly(PREFILL, DECODE);
  }

  @Test
  void linesOfJson() throws IOException {
    String lines =
        """
        {"n_threads": 8, "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ts": 7285.676949, "samples_ts": [ 7155.74 ]}
        {"n_threads": 8, "n_prompt": 0, "n_gen": 128, "n_depth": 0, "avg_ts": 119.915244, "samples_ts": [ 120.0 ]}
        {"n_threads": 8, "n_prompt": 16, "n_gen": 4, "n_depth": 0, "avg_ts": 1.5}
        """;
    assertThat(LlamaBenchOutput.parse(lines))
        .containsExactly(PREFILL, DECODE, new PeerResult("pp16+tg4", 8, 1.5));
  }

  @ParameterizedTest
  @CsvSource({
    "''",
    "hello",
    "| a | b |",
    "INSERT INTO test (avg_ts) VALUES ('3');",
    "'{\"a\": 1}'"
  })
  void otherTextHasNoResults(String text) throws IOException {
    assertThat(LlamaBenchOutput.parse(text)).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"0.00 ± 0.00", "-3.0", "inf", "nan", "NaN", "fast", "''", "1e300"})
  void aRateThatCannotBeIsRefused(String rate) {
    String table = "| test | t/s |\n| ---: | ---: |\n| pp512 | " + rate + " |\n";
    assertThatThrownBy(() -> LlamaBenchOutput.parse(table))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("tokens per second");
  }

  @Test
  void whatIsCutOffIsRefused() {
    assertThatThrownBy(() -> LlamaBenchOutput.parse("[\n{\"n_prompt\": 512, \"avg_ts\": 3"))
        .isInstanceOf(IOException.class);
    assertThatThrownBy(
            () -> LlamaBenchOutput.parse("| test | t/s |\n| ---: | ---: |\n| pp512 | 12"))
        .isInstanceOf(IOException.class);
    assertThatThrownBy(() -> LlamaBenchOutput.parse("| test | t/s |\n| ---: | ---: |\n| pp512 |"))
        .isInstanceOf(IOException.class);
    String csv = "n_prompt,n_gen,avg_ts\n\"512\",\"0\",\"728";
    assertThatThrownBy(() -> LlamaBenchOutput.parse(csv)).isInstanceOf(IOException.class);
    assertThatThrownBy(() -> LlamaBenchOutput.parse("n_prompt,n_gen,avg_ts\n\"512\",\"0\""))
        .isInstanceOf(IOException.class);
  }
}
