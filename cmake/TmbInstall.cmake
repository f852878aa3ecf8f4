# SPDX-License-Identifier: Apache-2.0
#
# What is installed beside the programs (tmb_program installs those itself): manual pages, documents,
# sample configurations, and the files that systemd reads. tests/tidy/install.py checks the outcome.

file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.[1-8])
foreach(page IN LISTS pages)
  string(REGEX REPLACE ".*\\." "" section ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# As they lie in the tree, so that their links hold.
install(FILES LICENSE README.md CHANGELOG.md CONTRIBUTING.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN *.md PATTERN *.svg)
install(DIRECTORY config/samples DESTINATION ${CMAKE_INSTALL_DOCDIR}/config)
install(FILES proto/state.proto DESTINATION ${CMAKE_INSTALL_DOCDIR}/proto)

set(TMB_SYSTEMD_DIR lib/systemd/system CACHE STRING "Where systemd's units go, below the prefix")
configure_file(config/systemd/tombolo-syncd@.service.in tombolo-syncd@.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tombolo-syncd@.service DESTINATION ${TMB_SYSTEMD_DIR})
install(FILES config/systemd/tombolo.tmpfiles RENAME tombolo.conf DESTINATION lib/tmpfiles.d)
