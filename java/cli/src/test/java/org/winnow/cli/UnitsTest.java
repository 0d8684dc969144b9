package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class UnitsTest {
  @Test
  void bytesKeepThreeDigits() {
    assertThat(Units.bytes(0)).isEqualTo("0 B");
    assertThat(Units.bytes(999)).isEqualTo("999 B");
    assertThat(Units.bytes(1000)).isEqualTo("1000 B");
    assertThat(Units.bytes(1536)).isEqualTo("1.50 KiB");
    assertThat(Units.bytes(18_874_368)).isEqualTo("18.0 MiB");
    assertThat(Units.bytes(100L << 30)).isEqualTo("100 GiB");
    assertThat(Units.bytes(1023L << 20)).isEqualTo("1023 MiB");
    assertThat(Units.bytes((1024L << 20) - 1)).isEqualTo("1.00 GiB");
    assertThat(Units.bytes(Long.MAX_VALUE)).isEqualTo("8192 PiB");
  }

  @Test
  void durationsChooseTheirUnit() {
    assertThat(Units.duration(0)).isEqualTo("0.00 us");
    assertThat(Units.duration(1500)).isEqualTo("1.50 us");
    assertThat(Units.duration(23_400_000)).isEqualTo("23.4 ms");
    assertThat(Units.duration(1_234_000_000)).isEqualTo("1.23 s");
    assertThat(Units.duration(185_000_000_000L)).isEqualTo("3 min 5 s");
  }

  @Test
  void countsAndSharesIgnoreTheLocale() {
    Locale before = Locale.getDefault();
    try {
      Locale.setDefault(Locale.GERMANY);
      assertThat(Units.count(10_783_232)).isEqualTo("10,783,232");
      assertThat(Units.roughCount(10_783_232)).isEqualTo("10.8 million");
      assertThat(Units.roughCount(312)).isEqualTo("312");
      assertThat(Units.percent(0.2534)).isEqualTo("25.3 %");
      assertThat(Units.percent(Double.NaN)).isEqualTo("-");
      assertThat(Units.threeDigits(0.01234)).isEqualTo("0.012");
      assertThat(Units.threeDigits(Double.POSITIVE_INFINITY)).isEqualTo("Infinity");
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void tablesAlignTheirColumns() {
    StringWriter out = new StringWriter();
    Table.withHeading("", "tokens/s", "read")
        .row("sparse", "1234.5", "1 MiB")
        .row("dense, é", "2", "18.0 MiB")
        .print(new PrintWriter(out), "  ");
    assertThat(out)
        .hasToString(
            "            tokens/s      read\n  sparse      1234.5     1 MiB\n  dense, é         2  18.0 MiB\n");
    out = new StringWriter();
    Table.ofFacts().row("a", "b c").row("longer", "d").print(new PrintWriter(out));
    assertThat(out).hasToString("a       b c\nlonger  d\n");
  }
}
