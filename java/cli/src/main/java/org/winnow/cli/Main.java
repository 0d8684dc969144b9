package org.winnow.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.cpu.NativeLibrary;
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
    versionProvider = Main.Version.class)
public final class Main {
  /** By name, in the order of the help. */
  private static final Map<String, Class<?>> COMMANDS = commands();

  /** What describes all commands. */
  private static final Set<String> SEES_OTHERS = Set.of("completion", "help");

  private static final Set<String> NEEDS_NATIVES =
      Set.of("generate", "verify", "perplexity", "bench", "demo", "demo-worker");

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
    if (args.length > 0 && NEEDS_NATIVES.contains(args[0])) loadNatives();
    int exitCode = commandLine(terminal, args).execute(args);
    if ((terminal.outIsBroken() || out.failure() != null)
        && (exitCode == ExitCode.DONE || exitCode == ExitCode.BROKEN_PIPE)) {
      exitCode = out.isPipe() ? ExitCode.BROKEN_PIPE : ExitCode.BAD_INPUT;
      if (!out.isPipe())
        terminal.err().println("winnow: standard output cannot be written: " + out.failure());
    }
    terminal.err().flush();
    System.exit(exitCode);
  }

  /** While the options are read. What uses the natives first waits for them, or reports why not. */
  private static void loadNatives() {
    Thread loader = new Thread(NativeLibrary::unavailabilityCause, "winnow-natives");
    loader.setDaemon(true);
    loader.start();
  }

  private static Map<String, Class<?>> commands() {
    Map<String, Class<?>> commands = new LinkedHashMap<>();
    commands.put("doctor", DoctorCommand.class);
    commands.put("inspect", InspectCommand.class);
    commands.put("generate", GenerateCommand.class);
    commands.put("verify", VerifyCommand.class);
    commands.put("perplexity", PerplexityCommand.class);
    commands.put("bench", BenchCommand.class);
    commands.put("demo", DemoCommand.class);
    commands.put("demo-worker", DemoWorker.class);
    commands.put("completion", CompletionCommand.class);
    commands.put("help", CommandLine.HelpCommand.class);
    return commands;
  }

  /**
   * The command for these arguments, which writes to this terminal. It has the subcommand that the
   * first argument names, else all: to read one's options takes picocli some milliseconds.
   */
  static CommandLine commandLine(Terminal terminal, String... args) {
    CommandLine commandLine = new CommandLine(new Main(terminal));
    boolean needsOthers = args.length == 0 || SEES_OTHERS.contains(args[0]);
    @Nullable Class<?> named = needsOthers ? null : COMMANDS.get(args[0]);
    if (named != null) commandLine.addSubcommand(args[0], named);
    else
      for (var command : COMMANDS.entrySet())
        commandLine.addSubcommand(command.getKey(), command.getValue());
    describe(commandLine);
    for (CommandLine subcommand : commandLine.getSubcommands().values()) describe(subcommand);
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.registerConverter(Path.class, new PathConverter());
    commandLine.setExpandAtFiles(false); // a prompt may begin with @
    commandLine.setParameterExceptionHandler(new UsageReport());
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

  // Named classes: a lambda would keep picocli's interfaces out of the class data archive.

  private static final class PathConverter implements CommandLine.ITypeConverter<Path> {
    @Override
    public Path convert(String name) {
      // an empty name would be the working directory
      if (name.isEmpty()) throw new TypeConversionException("a path must not be empty");
      return Path.of(name);
    }
  }

  private static final class UsageReport implements CommandLine.IParameterExceptionHandler {
    @Override
    public int handleParseException(ParameterException failure, String[] args) {
      PrintWriter err = failure.getCommandLine().getErr();
      err.println("winnow: " + failure.getMessage());
      UnmatchedArgumentException.printSuggestions(failure, err);
      err.println(
          "Try '" + failure.getCommandLine().getCommandSpec().qualifiedName() + " --help'.");
      err.flush();
      return ExitCode.USAGE;
    }
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
