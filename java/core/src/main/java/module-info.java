/** Tensors, operations, layers, expert memory and the CPU backend. */
module org.winnow.core {
  requires jdk.jfr;
  requires org.bytedeco.javacpp;
  requires static org.jspecify;

  uses org.winnow.BackendProvider;

  provides org.winnow.BackendProvider with
      org.winnow.cpu.CpuBackendProvider;

  exports org.winnow;
  exports org.winnow.attention;
  exports org.winnow.cpu;
  exports org.winnow.internal to
      org.winnow.cuda;
  exports org.winnow.op;
  exports org.winnow.layer;
  exports org.winnow.memory;
  exports org.winnow.moe;
}
