package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ExpertBudgetTest {
  @ParameterizedTest
  @CsvSource({
    "25%, 250, 25 %",
    "100 %, 1000, 100 %",
    "12.5%, 125, 12.5 %",
    "0.15%, 1, 0.15 %",
    "7%, 70, 7 %",
    "4096, 4096, '4,096 bytes'",
    "2GiB, 2147483648, '2,147,483,648 bytes'",
    "1.5kB, 1500, '1,500 bytes'",
    "3MB, 3000000, '3,000,000 bytes'",
    "1TiB, 1099511627776, '1,099,511,627,776 bytes'",
    "7 B, 7, 7 bytes",
    "7b, 7, 7 bytes",
    "4096.0, 4096, '4,096 bytes'",
    "25  %, 250, 25 %",
    "2G, 2147483648, '2,147,483,648 bytes'",
    "2g, 2147483648, '2,147,483,648 bytes'",
    "2Gi, 2147483648, '2,147,483,648 bytes'",
    "2gib, 2147483648, '2,147,483,648 bytes'",
    "2GIB, 2147483648, '2,147,483,648 bytes'",
    "2 GiB, 2147483648, '2,147,483,648 bytes'",
    "2GB, 2000000000, '2,000,000,000 bytes'",
    "2gb, 2000000000, '2,000,000,000 bytes'",
    "1.5G, 1610612736, '1,610,612,736 bytes'",
    "0.5k, 512, 512 bytes",
    "3KB, 3000, '3,000 bytes'",
    "1M, 1048576, '1,048,576 bytes'",
    "1tb, 1000000000000, '1,000,000,000,000 bytes'"
  })
  void readsWhatPeopleWrite(String text, long bytesOfThousand, String shown) {
    ExpertBudget budget = ExpertBudget.parse(text);
    assertThat(budget.resolveBytes(1000)).isEqualTo(bytesOfThousand);
    assertThat(budget).hasToString(shown);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "%",
        "-1",
        "0",
        "0%",
        "101%",
        "1e3",
        "5 furlongs",
        "1.5",
        "0.5 B",
        "0.25",
        "0.0001k",
        "2Gb i",
        "2ib",
        "2i",
        "1,5G",
        "1 000",
        ".5G",
        "+1G",
        "0x10",
        "25%%",
        "99999999999TiB",
        "NaN"
      })
  void refusesTheRest(String text) {
    assertThatThrownBy(() -> ExpertBudget.parse(text)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void saysWhatItExpected() {
    assertThatThrownBy(() -> ExpertBudget.parse("much"))
        .hasMessage(
            "budget must be like 25%, 2GiB or 2G (2^30 bytes each), 1500MB (10^6 bytes each) or 4096"
                + " (bytes), found much");
  }
}
