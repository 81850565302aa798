# Helpers that every folder's CMakeLists.txt uses.
#
#   telos_module(io SOURCES safetensors.cpp npy.cpp DEPENDS base PRIVATE nlohmann_json::nlohmann_json)
#   telos_test(io_safetensors SOURCES safetensors_test.cpp DEPENDS io)

add_library(telos_options INTERFACE)
target_compile_options(telos_options INTERFACE
  # The same source must give the same bits on every machine: the compiler never fuses a*b+c on its own.
  -ffp-contract=off
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  # GCC 12 reports overlapping copies inside std::string that cannot happen (its bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  # The sanitizers' instrumentation makes GCC lose track of what is initialised, in the standard library's own headers.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${TELOS_SANITIZE}>>:-Wno-maybe-uninitialized>
  # Joined files are included, and GCC then takes each for a header, whose unnamed namespaces would be a mistake.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${CMAKE_UNITY_BUILD}>>:-Wno-subobject-linkage>
  # GCC collects its garbage once it holds 128 MiB; half a GiB is reached once or never, and a file takes 15 % less time.
  $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=524288>
  # Clang's -Wconversion also means signedness, GCC's does not: one rule for both.
  $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Wno-sign-conversion>
  $<$<BOOL:${TELOS_WERROR}>:-Werror>)
# Half of a build's time would go into optimising what takes no time when it runs: pages, command line and tests at -O1.
# Sanitizer builds are made with -O0 (their preset), three times as fast as -O1; what computes or parses is optimised: these
# modules without the pages of those that only compute, the reference implementations, and tests marked so.
set(telos_brief_optimisation $<$<CONFIG:Release>:-O1>)
set(telos_computing_modules base linalg io text report model nn smoothing positional clustering bigram symmetry)
set(telos_parsing_modules io text model)  # which read bytes as numbers: their alignment is watched
# With TELOS_FUZZ coverage feedback must reach into the libraries: into these modules, and into what the others read once.
set(telos_fuzzed_modules io text model report positional clustering)
if(TELOS_SANITIZE STREQUAL "address")
  # Without the checks before each access that AddressSanitizer (a null pointer, an object's size) or the lack of
  # casts make needless: they would double the time of a build.
  set(telos_sanitizer -fsanitize=address,undefined -fno-sanitize=null,object-size,pointer-overflow,vptr
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(TELOS_SANITIZE STREQUAL "thread")
  set(telos_sanitizer -fsanitize=thread -fno-omit-frame-pointer)
elseif(NOT TELOS_SANITIZE STREQUAL "")
  message(FATAL_ERROR "TELOS_SANITIZE is '${TELOS_SANITIZE}'; expected address, thread, or nothing")
endif()
if(telos_sanitizer)
  add_compile_options(${telos_sanitizer})
  add_link_options(${telos_sanitizer})
endif()

# Files that Highway compiles once for each instruction set stay alone where CMAKE_UNITY_BUILD puts others together.
function(telos_keep_kernels_apart)
  foreach(source ${ARGN})
    file(STRINGS ${source} marks REGEX "HWY_TARGET_INCLUDE" LIMIT_COUNT 1)
    if(marks)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# telos_module(NAME SOURCES ... [BRIEF ...] [DEPENDS module...] [PRIVATE library...])
# One static library a folder. DEPENDS are modules above it in docs/architecture.md, PRIVATE are third-party libraries
# that only its .cpp files see. BRIEF are sources that take no time when they run (what is read once, what is drawn once):
# they and the pages (page*.cpp) are optimised briefly.
function(telos_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;BRIEF;DEPENDS;PRIVATE" ${ARGN})
  set(pages ${arg_SOURCES})
  list(FILTER pages INCLUDE REGEX "^page")
  list(FILTER arg_SOURCES EXCLUDE REGEX "^page")
  list(APPEND arg_BRIEF ${pages})
  add_library(telos_${name} STATIC ${arg_SOURCES})
  telos_keep_kernels_apart(${arg_SOURCES})
  add_library(telos::telos_${name} ALIAS telos_${name})
  set(parts telos_${name})
  if(arg_BRIEF)
    add_library(telos_${name}_brief OBJECT ${arg_BRIEF})
    target_sources(telos_${name} PRIVATE $<TARGET_OBJECTS:telos_${name}_brief>)
    target_compile_options(telos_${name}_brief PRIVATE ${telos_brief_optimisation})
    list(APPEND parts telos_${name}_brief)
  endif()
  foreach(part ${parts})
    target_include_directories(${part}
      PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
      PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_compile_features(${part} PUBLIC cxx_std_20)
    target_link_libraries(${part} PRIVATE $<BUILD_INTERFACE:telos_options> ${arg_PRIVATE})
    if(TELOS_FUZZ AND (name IN_LIST telos_fuzzed_modules OR part MATCHES "_brief$"))
      target_compile_options(${part} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
    if(TELOS_SANITIZE AND name IN_LIST telos_parsing_modules)
      target_compile_options(${part} PRIVATE -O1)
    elseif(TELOS_SANITIZE AND name IN_LIST telos_computing_modules AND NOT part MATCHES "_brief$")
      target_compile_options(${part} PRIVATE -O1 -fno-sanitize=alignment)
    endif()
  endforeach()
  foreach(module ${arg_DEPENDS})
    target_link_libraries(telos_${name} PUBLIC telos_${module})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY TELOS_MODULES telos_${name})
endfunction()

# GoogleTest's headers take a third to a half of a test's compilation: they are compiled once for all tests. An object library
# of its own with the flags of an executable; `optimised` for the tests that are optimised where the others are not.
function(telos_test_header optimised name)
  set(header telos_test_header${optimised})
  set(${name} ${header} PARENT_SCOPE)
  if(TARGET ${header})
    return()
  endif()
  add_library(${header} OBJECT ${PROJECT_SOURCE_DIR}/tests/header.cpp)
  set_target_properties(${header} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${header} PRIVATE -fPIE ${telos_brief_optimisation} ${optimised}
    # ccache knows a header by its content; clang would also have it know its time.
    $<$<CXX_COMPILER_ID:Clang,AppleClang>:SHELL:-Xclang -fno-pch-timestamp>)
  target_link_libraries(${header} PRIVATE telos_options GTest::gtest GTest::gmock)
  target_precompile_headers(${header} PRIVATE <gmock/gmock.h> <gtest/gtest.h> <algorithm> <cmath> <filesystem> <functional>
    <limits> <map> <numeric> <set> <string> <vector>)
endfunction()

# telos_test(NAME SOURCES ... DEPENDS module... [PRIVATE library...] [LABELS label...]
#            [THREADED_TESTS filter] [COMPUTES])
# One test binary; ctest sees each of its tests (under a sanitizer: the binary). LABELS threaded: also run under ThreadSanitizer.
# THREADED_TESTS: of which only these (a GoogleTest filter) run there; the rest of a long binary is for one thread.
# COMPUTES: its own loops are long (a reference in double or wider).
function(telos_test name)
  cmake_parse_arguments(arg "COMPUTES" "THREADED_TESTS" "SOURCES;DEPENDS;PRIVATE;LABELS" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  telos_keep_kernels_apart(${arg_SOURCES})
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_compile_options(test_${name} PRIVATE ${telos_brief_optimisation})
  target_link_libraries(test_${name} PRIVATE telos_options GTest::gtest GTest::gmock GTest::gtest_main ${arg_PRIVATE})
  foreach(module ${arg_DEPENDS})
    target_link_libraries(test_${name} PRIVATE telos_${module})
  endforeach()
  target_compile_definitions(test_${name} PRIVATE TELOS_TEST_DIR="${PROJECT_SOURCE_DIR}/tests")
  if("threaded" IN_LIST arg_LABELS)
    if(NOT TARGET threaded_tests)
      add_custom_target(threaded_tests)  # what ThreadSanitizer runs
    endif()
    add_dependencies(threaded_tests test_${name})
  endif()
  set(optimised "")
  if(TELOS_SANITIZE AND (arg_COMPUTES OR "${arg_SOURCES}" MATCHES "/reference/"))
    set(optimised -O1)
    target_compile_options(test_${name} PRIVATE -O1)
  endif()
  telos_test_header("${optimised}" header)
  target_precompile_headers(test_${name} REUSE_FROM ${header})
  # GCC 12 then looks into std::string for the error that its bug 105651 sees there.
  target_compile_options(test_${name} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow>")
  if(TELOS_SANITIZE)
    # One process for all its tests: under a sanitizer each start takes longer than most tests.
    set(telos_filter "*")
    if(TELOS_SANITIZE STREQUAL "thread" AND arg_THREADED_TESTS)
      set(telos_filter ${arg_THREADED_TESTS})
    endif()
    add_test(NAME ${name} COMMAND test_${name} --gtest_brief=1 --gtest_filter=${telos_filter})
    set_tests_properties(${name} PROPERTIES TIMEOUT 1200 LABELS "${arg_LABELS}")
  else()
    include(GoogleTest)
    gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 120
      PROPERTIES TIMEOUT 600 LABELS "${arg_LABELS}")
  endif()
endfunction()
