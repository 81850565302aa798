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
  $<$<BOOL:${TELOS_WERROR}>:-Werror>)
if(TELOS_SANITIZE STREQUAL "address")
  set(telos_sanitizer -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(TELOS_SANITIZE STREQUAL "thread")
  set(telos_sanitizer -fsanitize=thread -fno-omit-frame-pointer)
elseif(NOT TELOS_SANITIZE STREQUAL "")
  message(FATAL_ERROR "TELOS_SANITIZE is '${TELOS_SANITIZE}'; expected address, thread, or nothing")
endif()
if(TELOS_FUZZ)
  # Coverage feedback must reach into the libraries, not only the targets' own files.
  list(APPEND telos_sanitizer -fsanitize=fuzzer-no-link)
endif()
if(telos_sanitizer)
  add_compile_options(${telos_sanitizer})
  add_link_options(${telos_sanitizer})
endif()

# telos_module(NAME SOURCES ... [DEPENDS module...] [PRIVATE library...])
# One static library a folder. DEPENDS are modules above it in docs/architecture.md, PRIVATE are third-party libraries
# that only its .cpp files see.
function(telos_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(telos_${name} STATIC ${arg_SOURCES})
  add_library(telos::telos_${name} ALIAS telos_${name})
  target_include_directories(telos_${name}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_features(telos_${name} PUBLIC cxx_std_20)
  target_link_libraries(telos_${name} PRIVATE $<BUILD_INTERFACE:telos_options> ${arg_PRIVATE})
  foreach(module ${arg_DEPENDS})
    target_link_libraries(telos_${name} PUBLIC telos_${module})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY TELOS_MODULES telos_${name})
endfunction()

# telos_test(NAME SOURCES ... DEPENDS module... [PRIVATE library...] [LABELS label...])
# One test binary; ctest sees each of its tests. LABELS threaded: also run under ThreadSanitizer.
function(telos_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE;LABELS" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
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
  include(GoogleTest)
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 120
    PROPERTIES TIMEOUT 600 LABELS "${arg_LABELS}")
endfunction()
