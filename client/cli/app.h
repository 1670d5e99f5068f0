// The whole command line of `lathe`.
#ifndef LATHE_CLIENT_CLI_APP_H_
#define LATHE_CLIENT_CLI_APP_H_

namespace CLI {
class App;
}

namespace lathe {

struct Cli;

// Registers every command and the flags they share. `cli` must outlive `app`.
void SetUpApp(CLI::App& app, Cli& cli);

// Parses the arguments and runs the command they name. Returns the exit code;
// errors are printed to standard error.
int RunLathe(int argc, char** argv);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_APP_H_
