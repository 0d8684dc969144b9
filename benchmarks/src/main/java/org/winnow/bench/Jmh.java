package org.winnow.bench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.Main;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Defaults;
import org.openjdk.jmh.runner.NoBenchmarksException;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormat;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;

/**
 * Runs JMH with its own arguments. JMH leaves a benchmark that fails out of its results and exits
 * with 0. Here the others run too, but each that failed is named at the end, and the exit code is
 * 1.
 */
public final class Jmh {
  private final Map<String, BenchmarkParams> started = new LinkedHashMap<>();

  Jmh() {}

  public static void main(String[] args) throws Exception {
    CommandLineOptions options;
    try {
      options = new CommandLineOptions(args);
    } catch (CommandLineOptionException e) {
      Main.main(args); // says what is wrong and exits
      return;
    }
    boolean asks =
        options.shouldHelp()
            || options.shouldList()
            || options.shouldListWithParams()
            || options.shouldListProfilers()
            || options.shouldListResultFormats();
    if (asks) Main.main(args);
    else System.exit(run(options));
  }

  private static int run(CommandLineOptions options) {
    try {
      List<String> failed = new Jmh().failed(options);
      failed.forEach(id -> System.err.println("winnow jmh: failed: " + id));
      return failed.isEmpty() ? 0 : 1;
    } catch (NoBenchmarksException e) {
      System.err.println("winnow jmh: no benchmark has a name with " + options.getIncludes());
    } catch (RunnerException e) {
      System.err.println("winnow jmh: " + (e.getCause() == null ? e : e.getCause()));
    }
    return 1;
  }

  /** Runs all and returns the ids of those that are missing from the results, wholly or in part. */
  List<String> failed(CommandLineOptions options) throws RunnerException {
    OutputFormat format =
        OutputFormatFactory.createFormatInstance(
            System.out, options.verbosity().orElse(Defaults.VERBOSITY));
    Collection<RunResult> results = new Runner(options, recording(format)).run();
    Map<String, Integer> forks = new LinkedHashMap<>();
    for (RunResult result : results)
      forks.put(result.getParams().id(), result.getBenchmarkResults().size());
    List<String> failed = new ArrayList<>();
    started.forEach(
        (id, params) -> {
          if (forks.getOrDefault(id, 0) < Math.max(1, params.getForks())) failed.add(id);
        });
    return failed;
  }

  /** Remembers what begins; JMH tells of nothing else before a failure. */
  private OutputFormat recording(OutputFormat format) {
    return (OutputFormat)
        Proxy.newProxyInstance(
            Jmh.class.getClassLoader(),
            new Class<?>[] {OutputFormat.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("startBenchmark")) {
                BenchmarkParams params = (BenchmarkParams) arguments[0];
                started.put(params.id(), params);
              }
              try {
                return method.invoke(format, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
