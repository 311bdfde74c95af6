# Compiler settings shared by every target: C++20, warnings, sanitizers, ccache, mold.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_library(plumb_flags INTERFACE)
target_include_directories(plumb_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src
                                                 ${CMAKE_BINARY_DIR}/generated)
target_compile_options(plumb_flags INTERFACE -Wall -Wextra -Wpedantic)
if(PLUMB_WERROR)
  target_compile_options(plumb_flags INTERFACE -Werror)
endif()
if(PLUMB_SANITIZE)
  target_compile_options(plumb_flags INTERFACE -fsanitize=${PLUMB_SANITIZE} -fno-omit-frame-pointer
                                               -fno-sanitize-recover=all)
  target_link_options(plumb_flags INTERFACE -fsanitize=${PLUMB_SANITIZE})
  if(PLUMB_SANITIZE MATCHES "thread")
    # Asio has fences that the thread sanitizer cannot see; it orders its queues by mutexes as well.
    target_compile_options(plumb_flags INTERFACE -Wno-tsan)
  endif()
endif()
