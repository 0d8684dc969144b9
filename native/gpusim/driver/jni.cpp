// The hooks for the tests in Java: native methods of org.winnow.cuda.GpuSim.
#include <jni.h>

#include <stdexcept>

#include "driver/hooks.h"

using namespace winnow::gpusim;

namespace {

// What the interpreter throws (an address outside of every allocation, say) reaches the test with its text.
template <typename Action>
auto throwing(JNIEnv* env, Action action) -> decltype(action()) {
  try {
    return action();
  } catch (const std::exception& e) {
    env->ThrowNew(env->FindClass("java/lang/IllegalArgumentException"), e.what());
    return decltype(action())();
  }
}

}  // namespace

extern "C" {

JNIEXPORT void JNICALL Java_org_winnow_cuda_GpuSim_configure(JNIEnv*, jclass, jlong seed, jboolean lazy_async_copies,
                                                             jboolean checks) {
  winnow_gpusim_configure(static_cast<uint64_t>(seed), lazy_async_copies, checks);
}

JNIEXPORT void JNICALL Java_org_winnow_cuda_GpuSim_configureDevices(JNIEnv*, jclass, jint num_devices,
                                                                    jint compute_capability, jlong memory_bytes) {
  winnow_gpusim_configure_devices(num_devices, compute_capability, static_cast<uint64_t>(memory_bytes));
}

JNIEXPORT jstring JNICALL Java_org_winnow_cuda_GpuSim_takeReports(JNIEnv* env, jclass) {
  return throwing(env, [&] { return env->NewStringUTF(winnow_gpusim_take_reports()); });
}

JNIEXPORT void JNICALL Java_org_winnow_cuda_GpuSim_resetTouched(JNIEnv*, jclass) { winnow_gpusim_reset_touched(); }

JNIEXPORT jlong JNICALL Java_org_winnow_cuda_GpuSim_distinctBytesRead(JNIEnv* env, jclass, jlong address,
                                                                      jlong size_bytes) {
  return throwing(env, [&] {
    return static_cast<jlong>(
        winnow_gpusim_distinct_bytes_read(static_cast<uint64_t>(address), static_cast<uint64_t>(size_bytes)));
  });
}

JNIEXPORT jlong JNICALL Java_org_winnow_cuda_GpuSim_bytesCopiedToDevice(JNIEnv*, jclass) {
  return static_cast<jlong>(winnow_gpusim_bytes_copied_to_device());
}

}  // extern "C"
