# Compiler flags per instruction set. A source named *_<set>.cpp is compiled with that set's flags, every other one for plain x86-64.
# The -Wno flags: GCC 12 warns of registers that its own AVX-512 headers leave undefined on purpose (GCC bug 105593).
set(WINNOW_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(WINNOW_FLAGS_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mprefer-vector-width=512
    -Wno-uninitialized -Wno-maybe-uninitialized)
set(WINNOW_FLAGS_avx512_bf16 ${WINNOW_FLAGS_avx512} -mavx512bf16)
set(WINNOW_FLAGS_amx_bf16 ${WINNOW_FLAGS_avx512} -mavx512bf16 -mamx-tile -mamx-bf16)

function(winnow_set_instruction_set source)
  foreach(set amx_bf16 avx512_bf16 avx512 avx2)
    if(source MATCHES "_${set}\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${WINNOW_FLAGS_${set}}")
      return()
    endif()
  endforeach()
endfunction()
