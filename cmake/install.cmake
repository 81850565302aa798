include(CMakePackageConfigHelpers)
get_property(telos_modules GLOBAL PROPERTY TELOS_MODULES)
install(TARGETS telos ${telos_modules} EXPORT telosTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/telos DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT telosTargets NAMESPACE telos:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/telos)
configure_package_config_file(cmake/telosConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/telosConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/telos)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/telosConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/telosConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/telosConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/telos)
if(TARGET telos_cli)
  install(TARGETS telos_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
