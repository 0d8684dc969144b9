# feature_level(<.cu> <variable>): the compute capability that a source needs. <name>_sm90.cu needs 90 and may use what came
# with it; a source without such an ending needs 80.
function(feature_level source variable)
  set(level 80)
  if(source MATCHES "_sm([0-9]+)\\.cu$")
    set(level ${CMAKE_MATCH_1})
  endif()
  set(${variable} ${level} PARENT_SCOPE)
endfunction()
