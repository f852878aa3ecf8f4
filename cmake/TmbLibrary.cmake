# SPDX-License-Identifier: Apache-2.0
#
# One helper a kind of target, so that a folder's CMakeLists.txt is a few lines:
#
#   tmb_library(journal SOURCES writer.c reader.c DEPS proto base)        static tmb_journal, tombolo::journal
#   tmb_library(base PURE SOURCES hlc.c)                                   and the test tidy.pure.base
#   tmb_program(tombolo-journal SOURCES main.c DEPS journal)               an installed command
#   tmb_fuzz(frame SOURCES frame_fuzz.c DEPS proto)                        a libFuzzer target and fuzz.frame
#   tmb_test(unit.journal.writer SOURCES test_writer.c DEPS journal)       a cmocka test, run by ctest
#
# DEPS without "::" are folders of this tree; others are imported targets (PkgConfig::zstd).

function(tmb_flags target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wswitch-enum -Wvla)
  target_compile_definitions(${target} PRIVATE _POSIX_C_SOURCE=200809L)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_target_properties(${target} PROPERTIES
    C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
endfunction()

function(tmb_link target)
  foreach(dep IN LISTS ARGN)
    if(dep MATCHES "::")
      target_link_libraries(${target} PUBLIC ${dep})
    else()
      target_link_libraries(${target} PUBLIC tombolo::${dep})
    endif()
  endforeach()
endfunction()

function(tmb_library name)
  cmake_parse_arguments(arg "PURE" "" "SOURCES;DEPS" ${ARGN})
  add_library(tmb_${name} STATIC ${arg_SOURCES})
  add_library(tombolo::${name} ALIAS tmb_${name})
  tmb_flags(tmb_${name})
  tmb_link(tmb_${name} ${arg_DEPS})
  if(arg_PURE)
    add_test(NAME tidy.pure.${name}
      COMMAND ${PROJECT_SOURCE_DIR}/tests/tidy/pure.sh $<TARGET_FILE:tmb_${name}>)
    set_tests_properties(tidy.pure.${name} PROPERTIES LABELS tidy)
  endif()
endfunction()

function(tmb_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  tmb_flags(${name})
  tmb_link(${name} ${arg_DEPS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# The label is the first word of the name: unit.journal.writer is labelled unit.
function(tmb_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPS;ARGS" ${ARGN})
  string(REPLACE "." "_" target ${name})
  string(REGEX REPLACE "\\..*" "" label ${name})
  add_executable(${target} ${arg_SOURCES})
  tmb_flags(${target})
  tmb_link(${target} ${arg_DEPS} PkgConfig::cmocka)
  add_test(NAME ${name} COMMAND ${target} ${arg_ARGS})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 400)
  endif()
  math(EXPR timeout_s "${arg_TIMEOUT} * ${TMB_TIMEOUT_FACTOR}")
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout_s})
endfunction()

# A fuzz target: LLVMFuzzerTestOneInput in SOURCES, seeds in corpus/<name>. The test fuzz.<name> runs every
# file of the corpus and some thousand mutations through it: by libFuzzer under TMB_FUZZ (what it finds goes
# into the build tree), else by replay_main.c, with any compiler.
function(tmb_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  set(target fuzz_${name})
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(TMB_FUZZ)
    add_executable(${target} ${arg_SOURCES})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    set(found ${CMAKE_CURRENT_BINARY_DIR}/found/${name})
    file(MAKE_DIRECTORY ${found})
    add_test(NAME fuzz.${name} COMMAND ${target} -runs=20000 -max_total_time=60 ${found} ${corpus})
  else()
    add_executable(${target} ${arg_SOURCES} replay_main.c)
    add_test(NAME fuzz.${name} COMMAND ${target} ${corpus})
  endif()
  tmb_flags(${target})
  tmb_link(${target} ${arg_DEPS})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 900)
endfunction()
