/** The CUDA backend. */
module org.winnow.cuda {
  requires transitive org.winnow.core;
  requires org.bytedeco.cuda;
  requires static org.jspecify;

  provides org.winnow.BackendProvider with
      org.winnow.cuda.CudaBackendProvider;

  exports org.winnow.cuda;
}
