// Nothing but the headers that all tests include, compiled once (cmake/telos.cmake).
