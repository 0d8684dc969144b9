# add_test_kernels(<test program> <folder>): compiles the folder's .cu files to PTX before the program is linked and tells it where they
# are (WINNOW_TEST_KERNELS). Without nvcc the program is built without them, and skips the tests that need them with that reason.
function(add_test_kernels program folder)
  find_program(WINNOW_NVCC nvcc HINTS /usr/local/cuda/bin)
  if(NOT WINNOW_NVCC)
    return()
  endif()
  set(output ${CMAKE_CURRENT_BINARY_DIR}/test_kernels)
  get_filename_component(repository ${CMAKE_SOURCE_DIR} DIRECTORY)
  set(script ${repository}/cmake/compile_ptx.cmake)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cu)
  set(compiled "")
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    set(ptx ${output}/${name}.ptx)
    add_custom_command(
      OUTPUT ${ptx}
      COMMAND ${CMAKE_COMMAND} "-DNVCC=${WINNOW_NVCC}" -DSOURCE=${source} -DOUTPUT=${ptx} -DREPOSITORY=${repository} -P ${script}
      DEPENDS ${source} ${script} ${repository}/cmake/feature_level.cmake
      COMMENT "nvcc ${name}.ptx"
      VERBATIM)
    list(APPEND compiled ${ptx})
  endforeach()
  target_sources(${program} PRIVATE ${compiled})
  target_compile_definitions(${program} PRIVATE WINNOW_TEST_KERNELS="${output}")
endfunction()
