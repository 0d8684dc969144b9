# cmake -DNVCC= -DSOURCE=<.cu> -DOUTPUT=<.ptx> -DREPOSITORY= -P compile_ptx.cmake: compiles to PTX and a dependency file <OUTPUT>.d.
# Names of source files become relative: to the repository, "native/cuda/add/add_cuda.cu", or to nvcc's own headers, "cuda_bf16.hpp".
get_filename_component(directory ${OUTPUT} DIRECTORY)
file(MAKE_DIRECTORY ${directory})
execute_process(
  COMMAND ${NVCC} -ptx -arch=compute_80 -O3 -std=c++17 -lineinfo -fmad=true --Werror all-warnings -I ${REPOSITORY}/native/cuda -I ${REPOSITORY}/native/include -MD -MF ${OUTPUT}.d
          -MT ${OUTPUT} -o ${OUTPUT}.raw ${SOURCE}
  RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nvcc refuses ${SOURCE}")
endif()
file(READ ${OUTPUT}.raw ptx)
string(REPLACE "\"${REPOSITORY}/" "\"" ptx "${ptx}")
string(REGEX REPLACE "(\n[ \t]*\\.file[ \t]+[0-9]+[ \t]+\")/[^\"\n]*/include/([^\"\n]*\")" "\\1\\2" ptx "${ptx}")
if(ptx MATCHES "\n[ \t]*\\.file[ \t]+[0-9]+[ \t]+\"(/[^\"]*)\"")
  message(FATAL_ERROR "${OUTPUT} would hold the absolute path ${CMAKE_MATCH_1}")
endif()
file(WRITE ${OUTPUT} "${ptx}")
file(REMOVE ${OUTPUT}.raw)
