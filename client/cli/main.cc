// `lathe`: the command line.
#include "client/cli/app.h"

int main(int argc, char** argv) { return lathe::RunLathe(argc, argv); }
