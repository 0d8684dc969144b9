package org.winnow.cli;

import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code winnow} command. A failure is one line on standard error; exit codes as in the footer of {@code --help}. */
@Command(
    name = "winnow",
    description = "Runs mixture-of-experts models in less memory than their weights.",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    subcommands = {CommandLine.HelpCommand.class, DoctorCommand.class},
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:done", "1:failed, with the cause on standard error", "2:wrong usage", "3:something that is needed is not installed"})
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    System.exit(commandLine().execute(args));
  }

  static CommandLine commandLine() {
    CommandLine commandLine = new CommandLine(new Main());
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.setExecutionExceptionHandler(Main::reportFailure);
    return commandLine;
  }

  private static int reportFailure(Exception failure, CommandLine commandLine, CommandLine.ParseResult parsed) {
    PrintWriter err = commandLine.getErr();
    err.println("winnow: " + (failure.getMessage() == null ? failure.toString() : failure.getMessage()));
    return CommandLine.ExitCode.SOFTWARE;
  }

  /** The version of the jar; a build directory has none. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"winnow " + (version == null ? "(built from source)" : version)};
    }
  }
}
