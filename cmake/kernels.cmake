# native/kernels/*.cu as images in an object library, tr0n_cuda_images:
#   nvcc found        PTX for compute_75 and compute_80, and machine code for TR0N_CUDA_ARCHITECTURES
#   prebuilt/*.ptx    these, where there is no nvcc (npm run prebuilt:ptx makes them)
#   neither           none: device "cuda" says so
# All build trees of a checkout share what nvcc made, in build/kernels.
#
# TR0N_NVCC                 nvcc to use; OFF for none
# TR0N_CUDA_ARCHITECTURES   "all" (every one from 7.5 on that nvcc knows), or a list like 80;90; empty for PTX alone

get_filename_component(tr0n_root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(tr0n_kernels_made "${tr0n_root}/build/kernels")
set(TR0N_CUDA_ARCHITECTURES all CACHE STRING "Architectures to embed machine code for: all, or a list like 80;90")
if(NOT DEFINED TR0N_NVCC)
  find_program(TR0N_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATH_SUFFIXES bin PATHS /usr/local/cuda/bin DOC "nvcc, or OFF")
endif()

set(tr0n_cuda_origin "it was built without nvcc and without prebuilt/*.ptx")
set(tr0n_images)  # file|architecture|machine code|path
file(GLOB tr0n_kernel_sources CONFIGURE_DEPENDS "${tr0n_root}/native/kernels/*.cu")
file(GLOB tr0n_kernel_headers CONFIGURE_DEPENDS "${tr0n_root}/native/kernels/*.cuh" "${tr0n_root}/native/kernels/*.h")
list(APPEND tr0n_kernel_headers "${tr0n_root}/native/core/kernels.h" "${tr0n_root}/native/core/prior.h" "${tr0n_root}/native/core/rng.h")

if(TR0N_NVCC)
  execute_process(COMMAND "${TR0N_NVCC}" --version OUTPUT_VARIABLE tr0n_nvcc_text RESULT_VARIABLE tr0n_nvcc_failed)
  string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" tr0n_nvcc_release "${tr0n_nvcc_text}")
  set(tr0n_nvcc_release "${CMAKE_MATCH_1}")
  if(tr0n_nvcc_failed OR tr0n_nvcc_release STREQUAL "")
    message(FATAL_ERROR "${TR0N_NVCC} --version failed; -DTR0N_NVCC=OFF builds without it")
  endif()
  execute_process(COMMAND "${TR0N_NVCC}" --list-gpu-code OUTPUT_VARIABLE tr0n_nvcc_codes)
  string(REGEX MATCHALL "sm_[0-9]+" tr0n_nvcc_codes "${tr0n_nvcc_codes}")
  set(tr0n_architectures)
  foreach(code IN LISTS tr0n_nvcc_codes)
    string(SUBSTRING "${code}" 3 -1 architecture)
    if(architecture GREATER_EQUAL 75)
      list(APPEND tr0n_architectures ${architecture})
    endif()
  endforeach()
  if(NOT TR0N_CUDA_ARCHITECTURES STREQUAL "all")
    set(tr0n_architectures ${TR0N_CUDA_ARCHITECTURES})
  endif()
  get_filename_component(tr0n_nvcc_folder "${TR0N_NVCC}" REALPATH)
  get_filename_component(tr0n_nvcc_folder "${tr0n_nvcc_folder}" DIRECTORY)
  find_program(TR0N_PTXAS ptxas HINTS "${tr0n_nvcc_folder}" DOC "ptxas of the same toolkit")
  set(tr0n_cuda_origin "nvcc ${tr0n_nvcc_release}")
  foreach(source IN LISTS tr0n_kernel_sources)
    get_filename_component(name "${source}" NAME_WE)
    foreach(virtual 75 80)
      set(ptx "${tr0n_kernels_made}/${name}.compute_${virtual}.ptx")
      add_custom_command(OUTPUT "${ptx}"
        COMMAND ${CMAKE_COMMAND} -DNVCC=${TR0N_NVCC} -DSOURCE=${source} -DARCHITECTURE=${virtual} -DOUTPUT=${ptx}
          -P "${tr0n_root}/cmake/ptx.cmake"
        DEPENDS "${source}" ${tr0n_kernel_headers} "${tr0n_root}/cmake/ptx.cmake"
        COMMENT "native/kernels/${name}.cu for compute_${virtual}" VERBATIM)
      list(APPEND tr0n_images "${name}|${virtual}|false|${ptx}")
    endforeach()
    foreach(architecture IN LISTS tr0n_architectures)
      set(virtual 75)
      if(architecture GREATER_EQUAL 80)
        set(virtual 80)
      endif()
      set(ptx "${tr0n_kernels_made}/${name}.compute_${virtual}.ptx")
      set(cubin "${tr0n_kernels_made}/${name}.sm_${architecture}.cubin")
      add_custom_command(OUTPUT "${cubin}"
        COMMAND ${CMAKE_COMMAND} -DPTXAS=${TR0N_PTXAS} -DPTX=${ptx} -DARCHITECTURE=${architecture} -DOUTPUT=${cubin}
          -P "${tr0n_root}/cmake/ptxas.cmake"
        DEPENDS "${ptx}" "${tr0n_root}/cmake/ptxas.cmake" VERBATIM)
      list(APPEND tr0n_images "${name}|${architecture}|true|${cubin}")
    endforeach()
  endforeach()
else()
  file(GLOB prebuilt CONFIGURE_DEPENDS "${tr0n_root}/prebuilt/*.ptx")
  foreach(ptx IN LISTS prebuilt)
    if(ptx MATCHES "([^/]+)\\.compute_([0-9]+)\\.ptx$")
      list(APPEND tr0n_images "${CMAKE_MATCH_1}|${CMAKE_MATCH_2}|false|${ptx}")
      set(tr0n_cuda_origin "prebuilt PTX")
    endif()
  endforeach()
endif()
message(STATUS "CUDA kernels: ${tr0n_cuda_origin}")

# The images go through the assembler (.incbin): a compiler would need minutes for megabytes of numbers.
set(tr0n_declarations)
set(tr0n_rows)
set(tr0n_image_files)
set(index 0)
foreach(image IN LISTS tr0n_images)
  string(REPLACE "|" ";" parts "${image}")
  list(GET parts 0 name)
  list(GET parts 1 architecture)
  list(GET parts 2 machine_code)
  list(GET parts 3 path)
  string(APPEND tr0n_declarations "TR0N_IMAGE(${index}, \"${path}\")\n")
  string(APPEND tr0n_rows "    {\"${name}\", ${architecture}, ${machine_code}, tr0n_image_${index}, "
    "static_cast<size_t>(tr0n_image_end_${index} - tr0n_image_${index})},\n")
  list(APPEND tr0n_image_files "${path}")
  math(EXPR index "${index} + 1")
endforeach()
configure_file("${tr0n_root}/cmake/images.cpp.in" "${CMAKE_BINARY_DIR}/cuda_images.cpp" @ONLY)
add_library(tr0n_cuda_images OBJECT "${CMAKE_BINARY_DIR}/cuda_images.cpp")
set_source_files_properties("${CMAKE_BINARY_DIR}/cuda_images.cpp" PROPERTIES OBJECT_DEPENDS "${tr0n_image_files}")
set_target_properties(tr0n_cuda_images PROPERTIES
  CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
  CXX_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
target_include_directories(tr0n_cuda_images PRIVATE "${tr0n_root}/native")
