# PTX → machine code, and what ptxas says of registers, shared memory, stack and spills beside it in OUTPUT.log.
# Run by kernels.cmake with PTXAS, PTX, ARCHITECTURE, OUTPUT.
string(RANDOM LENGTH 8 suffix)
set(partial "${OUTPUT}.${suffix}")
execute_process(
  COMMAND "${PTXAS}" -v -O3 -arch=sm_${ARCHITECTURE} "${PTX}" -o "${partial}"
  RESULT_VARIABLE failed OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(failed OR text MATCHES "warning")
  file(REMOVE "${partial}")
  message(FATAL_ERROR "${PTX} for sm_${ARCHITECTURE}:\n${text}")
endif()
file(WRITE "${OUTPUT}.log" "${text}")
file(RENAME "${partial}" "${OUTPUT}")
