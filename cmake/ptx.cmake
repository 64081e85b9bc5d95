# One .cu file → PTX. Run by kernels.cmake with NVCC, SOURCE, ARCHITECTURE, OUTPUT.
#
# nvcc writes the PTX version of its own release, which drivers older than it refuse. The kernels need no newer
# instructions than these versions have (ptxas checks that when it makes the machine code), so that every driver from
# CUDA 11.0 on compiles them.
get_filename_component(headers "${CMAKE_CURRENT_LIST_DIR}/../native" ABSOLUTE)
set(version_75 6.4)
set(version_80 7.0)

get_filename_component(folder "${OUTPUT}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
string(RANDOM LENGTH 8 suffix)
set(partial "${OUTPUT}.${suffix}")
execute_process(
  COMMAND "${NVCC}" --ptx -arch=compute_${ARCHITECTURE} -O3 -std=c++17 -Werror all-warnings -I "${headers}" "${SOURCE}" -o "${partial}"
  RESULT_VARIABLE failed OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(failed)
  file(REMOVE "${partial}")
  message(FATAL_ERROR "${SOURCE} for compute_${ARCHITECTURE}:\n${text}")
endif()
file(READ "${partial}" ptx)
string(REGEX REPLACE "\n\\.version [0-9.]+" "\n.version ${version_${ARCHITECTURE}}" ptx "${ptx}")
# Which bytes of a vector are used: a hint of newer versions.
string(REGEX REPLACE "\n[ \t]*\\.pragma \"used_bytes_mask [0-9]+\";" "" ptx "${ptx}")
file(WRITE "${partial}" "${ptx}")
file(RENAME "${partial}" "${OUTPUT}")
