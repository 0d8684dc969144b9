# cmake -DNVCC= -DSOURCE=<.cu> -DOUTPUT=<.ptx> -DREPOSITORY= -P compile_ptx.cmake: compiles to PTX for the source's feature
# level and writes a dependency file <OUTPUT>.d. The result depends on the source alone, wherever the repository lies:
#   names of source files become relative to the repository, "native/cuda/add/add_cuda.cu", or to nvcc's own headers,
#     "cuda_bf16.hpp";
#   symbols of anonymous namespaces hold a hash of the source's path and of -frandom-seed, both relative here. Without them
#     nvcc takes the absolute path and the number of its process.
include(${CMAKE_CURRENT_LIST_DIR}/feature_level.cmake)
feature_level(${SOURCE} level)
get_filename_component(directory ${OUTPUT} DIRECTORY)
file(MAKE_DIRECTORY ${directory})
file(RELATIVE_PATH path ${REPOSITORY} ${SOURCE})
execute_process(
  COMMAND ${NVCC} -ptx -arch=compute_${level} -O3 -std=c++17 -lineinfo -fmad=true --Werror all-warnings
          -frandom-seed=${path} -Xcicc --orig_src_path_name,${path}
          -I ${REPOSITORY}/native/cuda -I ${REPOSITORY}/native/include -MD -MF ${OUTPUT}.d -MT ${OUTPUT} -o ${OUTPUT}.raw ${SOURCE}
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
