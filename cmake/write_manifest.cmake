# cmake -DDIRECTORY=<natives> -P write_manifest.cmake: writes <natives>/natives.sha256, one line "hash  name" per library. The hash of that
# file names the directory that the natives are unpacked into, see NativeCache.java.
file(GLOB libraries RELATIVE ${DIRECTORY} ${DIRECTORY}/*.so ${DIRECTORY}/*.so.*)
list(SORT libraries)
if(NOT libraries)
  message(FATAL_ERROR "no libraries in ${DIRECTORY}")
endif()
set(manifest "")
foreach(library ${libraries})
  file(SHA256 ${DIRECTORY}/${library} hash)
  string(APPEND manifest "${hash}  ${library}\n")
endforeach()
file(WRITE ${DIRECTORY}/natives.sha256 "${manifest}")
