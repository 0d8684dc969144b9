package org.winnow.cli;

import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code winnow completion}: prints the script with which a shell completes the command. */
@Command(
    name = "completion",
    description = {
      "Prints a script for bash and zsh: with it, the tab key completes commands, options and files.",
      "It works for winnow by any path, such as ./winnow."
    },
    footer = {
      "",
      "Examples:",
      "  source <(winnow completion)",
      "  winnow completion > ~/.local/share/bash-completion/completions/winnow"
    })
final class CompletionCommand extends Subcommand {
  @Spec private CommandSpec spec;

  @Override
  int run(Terminal terminal) {
    CommandLine root = spec.root().commandLine();
    terminal.out().print(AutoComplete.bash(root.getCommandName(), root));
    terminal.out().flush();
    return ExitCode.DONE;
  }
}
