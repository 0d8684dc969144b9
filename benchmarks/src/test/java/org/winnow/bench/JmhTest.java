package org.winnow.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.runner.options.CommandLineOptions;

class JmhTest {
  static {
    System.setProperty("jmh.ignoreLock", "true"); // nothing is measured
  }

  private static List<String> failed(String kinds) throws Exception {
    return new Jmh()
        .failed(
            new CommandLineOptions(
                "SometimesFails",
                "-f",
                "0",
                "-wi",
                "0",
                "-i",
                "1",
                "-r",
                "1ms",
                "-p",
                "kind=" + kinds));
  }

  @Test
  void whatFailsIsNamedAfterTheOthersHaveRun() throws Exception {
    assertEquals(List.of(), failed("good")); // first: JMH keeps the state of one that failed
    String name = SometimesFails.class.getName() + ".run-Throughput-kind-";
    assertEquals(List.of(name + "bad+setup", name + "bad+run"), failed("bad setup,good,bad run"));
  }
}
