package org.winnow.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * The {@code winnow} command. It reports a failure as one line on standard error, with an exit code
 * of {@link ExitCode}.
 */
@Command(
    name = "winnow",
    description = "Runs mixture-of-experts models in less memory than their weights.",
    synopsisSubcommandLabel = "COMMAND",
    footer = {
      "",
      "In a source tree the launcher ./winnow also has:",
      "  test [STAGE...]  all tests, or some of their stages",
      "  format           formats the Java and C++ sources",
      "  gpu-check        all CUDA tests and the benchmarks on this machine's GPU, and a report",
      "  jmh [NAME...]    runs benchmarks with JMH"
    },
    versionProvider = Main.Version.class,
    subcommands = {
      DoctorCommand.class,
      InspectCommand.class,
      GenerateCommand.class,
      VerifyCommand.class,
      PerplexityCommand.class,
      BenchCommand.class,
      DemoCommand.class,
      DemoWorker.class,
      CompletionCommand.class,
      CommandLine.HelpCommand.class
    })
public final class Main {
  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "after an error, print its stack trace",
      order = 98)
  private boolean verbose;

  private final Terminal terminal;

  private Main(Terminal terminal) {
    this.terminal = terminal;
  }

  public static void main(String[] args) {
    Terminal.Output out = new Terminal.Output();
    Terminal terminal = Terminal.ofProcess(out);
    String warning = ClassArchive.ofThisProcess().warning(System.getenv("WINNOW_JAVA_OPTIONS"));
    if (warning != null) terminal.err().println("winnow: " + warning);
    int exitCode = commandLine(terminal).execute(args);
    if ((terminal.outIsBroken() || out.failure() != null)
        && (exitCode == ExitCode.DONE || exitCode == ExitCode.BROKEN_PIPE)) {
      exitCode = out.isPipe() ? ExitCode.BROKEN_PIPE : ExitCode.BAD_INPUT;
      if (!out.isPipe())
        terminal.err().println("winnow: standard output cannot be written: " + out.failure());
    }
    terminal.err().flush();
    System.exit(exitCode);
  }

  /** The command and its subcommands, which write to this terminal. */
  static CommandLine commandLine(Terminal terminal) {
    CommandLine commandLine = new CommandLine(new Main(terminal));
    describe(commandLine);
    commandLine.getSubcommands().values().forEach(Main::describe);
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.registerConverter(Path.class, Main::path);
    commandLine.setExpandAtFiles(false); // a prompt may begin with @
    commandLine.setParameterExceptionHandler(Main::reportUsage);
    commandLine.setUsageHelpWidth(100);
    return commandLine.setOut(terminal.out()).setErr(terminal.err());
  }

  /**
   * Makes the help of all commands alike: standard options after the command's own options, exit
   * codes at the end.
   */
  private static void describe(CommandLine commandLine) {
    commandLine.getCommandSpec().mixinStandardHelpOptions(true);
    commandLine.getCommandSpec().version(new Version().getVersion());
    commandLine
        .getCommandSpec()
        .usageMessage()
        .sortOptions(false)
        .exitCodeListHeading("%nExit codes:%n")
        .exitCodeList(CommandLine.Model.UsageMessageSpec.keyValuesMap(ExitCode.list()));
  }

  /** An empty name would be the working directory. */
  private static Path path(String name) {
    if (name.isEmpty()) throw new TypeConversionException("a path must not be empty");
    return Path.of(name);
  }

  Terminal terminal() {
    return terminal;
  }

  /** Prints a failure as one line and returns its exit code. */
  int report(Throwable failure) {
    PrintWriter err = terminal.err();
    terminal.out().flush();
    err.println("winnow: " + ExitCode.message(failure));
    if (verbose) failure.printStackTrace(err);
    err.flush();
    return ExitCode.of(failure);
  }

  private static int reportUsage(ParameterException failure, String[] args) {
    PrintWriter err = failure.getCommandLine().getErr();
    err.println("winnow: " + failure.getMessage());
    UnmatchedArgumentException.printSuggestions(failure, err);
    err.println("Try '" + failure.getCommandLine().getCommandSpec().qualifiedName() + " --help'.");
    err.flush();
    return ExitCode.USAGE;
  }

  /** The version of the jar. Classes in a build directory have none. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"winnow " + (version == null ? "(built from source)" : version)};
    }
  }
}
