# Every third-party library, as an imported target. docs/dependencies.md says
# what each is for.
find_package(Threads REQUIRED)
find_package(absl REQUIRED CONFIG)
find_package(Protobuf REQUIRED)
find_package(gRPC REQUIRED CONFIG)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(GTest REQUIRED CONFIG)
find_package(benchmark REQUIRED CONFIG)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(CLI11 REQUIRED CONFIG)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
# libzip's CMake package names programs of another Debian package.
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)

# Eigen with its products and solvers by OpenBLAS, whose kernels are chosen for
# the machine that runs them; Eigen's own are for the oldest one allowed. All code
# with products takes this one: the two kinds do not mix. The executor, which is
# deployed, takes Eigen's functions of single numbers alone.
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
add_library(lathe_third_party_eigen INTERFACE)
target_link_libraries(lathe_third_party_eigen INTERFACE Eigen3::Eigen
                      PkgConfig::OPENBLAS)
target_compile_definitions(lathe_third_party_eigen INTERFACE EIGEN_USE_BLAS)

# libonnx's own CMake package names a namespace but not its protobuf, so the
# target is made here; only the protobuf classes are used.
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
add_library(lathe_third_party_onnx INTERFACE)
target_link_libraries(lathe_third_party_onnx INTERFACE ${ONNX_PROTO_LIBRARY}
                      protobuf::libprotobuf)
target_compile_definitions(lathe_third_party_onnx INTERFACE ONNX_ML=1
                           ONNX_NAMESPACE=onnx)

# oneDNN: its CMake package wants OpenCL's headers, which the CPU engine does
# not use.
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
add_library(lathe_third_party_onednn INTERFACE)
target_include_directories(lathe_third_party_onednn SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(lathe_third_party_onednn INTERFACE ${DNNL_LIBRARY})

# prometheus-cpp: its CMake package wants what only its push gateway and its
# page use.
find_library(PROMETHEUS_CORE_LIBRARY prometheus-cpp-core REQUIRED)
add_library(lathe_third_party_prometheus INTERFACE)
target_link_libraries(lathe_third_party_prometheus INTERFACE
                      ${PROMETHEUS_CORE_LIBRARY})

# jemalloc, for the server: messages are made on one thread and dropped on another,
# which costs it less than the C library. Sanitizers have allocators of their own.
find_library(JEMALLOC_LIBRARY jemalloc)
add_library(lathe_third_party_allocator INTERFACE)
if(JEMALLOC_LIBRARY AND NOT LATHE_SANITIZE AND NOT LATHE_FUZZ)
  # Nothing calls it by a name of its own.
  target_link_libraries(lathe_third_party_allocator INTERFACE
    -Wl,--push-state,--no-as-needed ${JEMALLOC_LIBRARY} -Wl,--pop-state)
endif()

# libtorch: its CMake package adds flags to every target of the tree and looks
# for CUDA; the two libraries are enough.
if(LATHE_TORCH)
  find_library(TORCH_LIBRARY torch REQUIRED)
  find_library(TORCH_CPU_LIBRARY torch_cpu REQUIRED)
  find_library(C10_LIBRARY c10 REQUIRED)
  find_path(TORCH_API_INCLUDE_DIR torch/torch.h REQUIRED
            PATH_SUFFIXES torch/csrc/api/include)
  add_library(lathe_third_party_torch INTERFACE)
  target_include_directories(lathe_third_party_torch SYSTEM INTERFACE
                             ${TORCH_API_INCLUDE_DIR})
  target_link_libraries(lathe_third_party_torch INTERFACE ${TORCH_LIBRARY}
                        ${TORCH_CPU_LIBRARY} ${C10_LIBRARY})
endif()
