// A library by the name of the CUDA runtime, so that the presets can be loaded where the toolkit is not installed. They
// import 341 of its functions and bind each at its first call; Winnow calls none. It must hold at least one function
// under the runtime's version.
extern "C" int cudaRuntimeGetVersion(int* version) {
  *version = 13010;
  return 0;
}
