# CUDA kernels: every cuda/<op>/<op>_cuda*.cu is compiled to PTX of its feature level, which the tests execute. The PTX is
# also assembled for each architecture of at least that level; a GPU tries to load that form first. The target is
# cuda_kernels. `cmake --install --component cuda_kernels` puts both forms beside the Java classes that load them.
# Without nvcc nothing is built.
include(feature_level)

find_program(WINNOW_NVCC nvcc HINTS /usr/local/cuda/bin)
if(NOT WINNOW_NVCC)
  message(STATUS "CUDA kernels skipped: no nvcc")
  add_custom_target(cuda_kernels)
  return()
endif()
get_filename_component(nvcc_directory ${WINNOW_NVCC} REALPATH)
get_filename_component(nvcc_directory ${nvcc_directory} DIRECTORY)
find_program(WINNOW_PTXAS ptxas HINTS ${nvcc_directory} /usr/local/cuda/bin REQUIRED)

set(kernel_directory ${CMAKE_CURRENT_BINARY_DIR}/cuda_kernels)
set(limits ${CMAKE_CURRENT_SOURCE_DIR}/cuda/limits.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cuda/architectures.txt)
file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/architectures.txt architectures REGEX "^[0-9]")
get_filename_component(repository ${CMAKE_CURRENT_SOURCE_DIR} DIRECTORY)
file(GLOB kernel_lists CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*/*_kernels.inc)
file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*/*_cuda*.cu)
set(kernel_files "")
foreach(source ${kernel_sources})
  get_filename_component(name ${source} NAME_WE)
  feature_level(${source} level)
  set(ptx ${kernel_directory}/${name}.ptx)
  set(compile_script ${CMAKE_CURRENT_LIST_DIR}/compile_ptx.cmake)
  set(assemble_script ${CMAKE_CURRENT_LIST_DIR}/assemble_cubin.cmake)
  add_custom_command(
    OUTPUT ${ptx}
    COMMAND ${CMAKE_COMMAND} "-DNVCC=${WINNOW_NVCC}" -DSOURCE=${source} -DOUTPUT=${ptx}
            -DREPOSITORY=${repository} -P ${compile_script}
    DEPENDS ${source} ${compile_script} ${CMAKE_CURRENT_LIST_DIR}/feature_level.cmake
    DEPFILE ${ptx}.d
    COMMENT "nvcc ${name}.ptx"
    VERBATIM)
  list(APPEND kernel_files ${ptx})
  foreach(architecture ${architectures})
    if(architecture LESS level)
      continue()
    endif()
    set(cubin ${kernel_directory}/${name}.sm_${architecture}.cubin)
    add_custom_command(
      OUTPUT ${cubin}
      COMMAND ${CMAKE_COMMAND} -DPTXAS=${WINNOW_PTXAS} -DARCHITECTURE=sm_${architecture} -DPTX=${ptx} -DOUTPUT=${cubin} -DLIMITS=${limits}
              -P ${assemble_script}
      DEPENDS ${ptx} ${limits} ${kernel_lists} ${assemble_script}
      COMMENT "ptxas ${name}.sm_${architecture}.cubin"
      VERBATIM)
    list(APPEND kernel_files ${cubin})
  endforeach()
endforeach()
add_custom_target(cuda_kernels DEPENDS ${kernel_files})
install(FILES ${kernel_files} DESTINATION org/winnow/cuda/kernels COMPONENT cuda_kernels EXCLUDE_FROM_ALL)
