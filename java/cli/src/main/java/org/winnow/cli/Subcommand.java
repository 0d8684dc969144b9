package org.winnow.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/**
 * The base of all commands: turns an exception into one line on standard error and an exit code.
 */
abstract class Subcommand implements Callable<Integer> {
  @ParentCommand private Main main;

  @Spec private CommandSpec spec;

  /** Does the work and returns the exit code. */
  abstract int run(Terminal terminal) throws Exception;

  @Override
  public final Integer call() {
    try {
      return run(main.terminal());
    } catch (ParameterException e) {
      throw e; // picocli passes it to the handler of wrong usage
    } catch (Exception | LinkageError | OutOfMemoryError e) {
      return main.report(e);
    }
  }

  /** What the user has given. */
  final ParseResult parseResult() {
    return spec.commandLine().getParseResult();
  }

  /** An error for options that are wrong only in combination, or only for this model. */
  final ParameterException wrongUsage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
