# How every Lathe target is made: lathe_library, lathe_binary, lathe_test,
# lathe_benchmark. A source file is always named relative to the folder.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Paths relative to the tree, so that another clone of it finds the same
  # objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

# Sources of a target are compiled several at a time: half the time of a build
# from nothing. Where sources are looked at one by one (tools/tidy) it is off.
option(LATHE_UNITY "Compile several sources of a target at a time" ON)
set(CMAKE_UNITY_BUILD ${LATHE_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 12)

# lathe_compiled_alone(SOURCE...): names of these would meet others.
function(lathe_compiled_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

set(LATHE_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  list(APPEND LATHE_WARNINGS -Wthread-safety -Werror=thread-safety)
endif()
if(LATHE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(LATHE_SANITIZE)
  add_compile_options(-fsanitize=${LATHE_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${LATHE_SANITIZE})
endif()

# lathe_library(NAME SRCS ... DEPS ...): a static library lathe_NAME, public
# headers relative to the root of the tree.
function(lathe_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(lathe_${name} STATIC ${ARG_SRCS})
  target_include_directories(lathe_${name} PUBLIC ${CMAKE_SOURCE_DIR}
                             ${CMAKE_BINARY_DIR})
  target_compile_options(lathe_${name} PRIVATE ${LATHE_WARNINGS})
  target_link_libraries(lathe_${name} PUBLIC ${ARG_DEPS})
endfunction()

# lathe_deployed(NAME...): libraries that are part of liblathe_runtime too. The
# same objects serve the worker and the runtime; position independence must
# not cost inlining.
function(lathe_deployed)
  foreach(name ${ARGN})
    set_target_properties(lathe_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_compile_options(lathe_${name} PRIVATE -fno-semantic-interposition)
  endforeach()
endfunction()

# ThreadSanitizer learns of Abseil's mutexes, whose library is not built with it.
function(lathe_knows_mutexes name)
  if(LATHE_SANITIZE STREQUAL thread)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tools/tsan_mutex.cc)
    target_link_libraries(${name} PRIVATE absl::synchronization)
  endif()
endfunction()

# lathe_binary(NAME SRCS ... DEPS ...): a program bin/NAME.
function(lathe_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE ${LATHE_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  lathe_knows_mutexes(${name})
endfunction()

# Builds every unit test, or those of code with threads of its own.
add_custom_target(unit_tests)
add_custom_target(threaded_tests)

# lathe_test(NAME SRCS ... DEPS ... [LABEL unit|learning|system] [THREADED]
# [TIMEOUT seconds]): a GoogleTest program. Unit tests (the default) are fast;
# learning tests let agents search for half a minute; system tests start whole
# processes. THREADED unit tests run under ThreadSanitizer too (tools/check-all).
function(lathe_test name)
  cmake_parse_arguments(ARG "THREADED" "LABEL;TIMEOUT" "SRCS;DEPS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(LATHE_SANITIZE)
    math(EXPR ARG_TIMEOUT "4 * ${ARG_TIMEOUT}")
  endif()
  add_executable(${name} ${ARG_SRCS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                        ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  # The tests' own code compiles faster so; what they test is as everywhere.
  target_compile_options(${name} PRIVATE ${LATHE_WARNINGS} -O1)
  target_compile_definitions(${name} PRIVATE
    LATHE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" LATHE_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest
                        GTest::gtest_main)
  lathe_knows_mutexes(${name})
  if(ARG_LABEL STREQUAL unit)
    add_dependencies(unit_tests ${name})
  endif()
  if(ARG_THREADED)
    add_dependencies(threaded_tests ${name})
    list(APPEND ARG_LABEL threaded)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# lathe_fuzzer(NAME SRCS ... DEPS ...): a libFuzzer program bin/NAME, where
# LATHE_FUZZ is on.
function(lathe_fuzzer name)
  if(LATHE_FUZZ)
    lathe_binary(${name} ${ARGN})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

# lathe_benchmark(NAME SRCS ... DEPS ...): a Google Benchmark program; run by
# hand, never by the tests.
function(lathe_benchmark name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  lathe_binary(${name} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS} benchmark::benchmark
               benchmark::benchmark_main)
endfunction()
