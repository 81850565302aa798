#include "linalg/peers.h"

#include <dlfcn.h>

#include <memory>
#include <string>
#ifdef TELOS_HAVE_DNNL
#include <dnnl.hpp>
#endif

namespace telos::bench {
namespace {

using Sgemm = void (*)(int order, int transa, int transb, int m, int n, int k, float alpha, const float* a,
                       int lda, const float* b, int ldb, float beta, float* c, int ldc);
constexpr int kRowMajor = 101, kNoTrans = 111, kTrans = 112;  // cblas.h, the same in every BLAS

int to_int(std::size_t n) {
  return static_cast<int>(n);
}

// The first of `paths` that loads, in a name space of its own.
void* load(std::initializer_list<const char*> paths) {
  for (const char* path : paths)
    if (void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND)) return handle;
  return nullptr;
}

void add_blas(std::vector<Peer>& peers, std::string name, void* handle) {
  if (handle == nullptr) return;
  const auto sgemm = reinterpret_cast<Sgemm>(dlsym(handle, "cblas_sgemm"));
  if (sgemm == nullptr) return;
  if (const auto core = reinterpret_cast<const char* (*)()>(dlsym(handle, "openblas_get_corename")))
    name += std::string(" (") + core() + ")";
  peers.push_back({name, [sgemm](const Problem& p, const float* a, const float* b, float* c) {
                     return std::function<void()>([=] {
                       sgemm(kRowMajor, p.transposed_a ? kTrans : kNoTrans,
                             p.transposed_b ? kTrans : kNoTrans, to_int(p.m), to_int(p.n), to_int(p.k), 1.0f,
                             a, to_int(p.transposed_a ? p.m : p.k), b, to_int(p.transposed_b ? p.k : p.n),
                             0.0f, c, to_int(p.n));
                     });
                   }});
}

#ifdef TELOS_HAVE_DNNL
dnnl::memory::dim to_dim(std::size_t n) {
  return static_cast<dnnl::memory::dim>(n);
}

// dnnl_sgemm, and for shared weights the matmul primitive with weights in the layout that it prefers.
std::function<void()> prepare_dnnl(const Problem& p, const float* a, const float* b, float* c) {
  if (!p.packed)
    return [=] {
      dnnl_sgemm(p.transposed_a ? 'T' : 'N', p.transposed_b ? 'T' : 'N', to_dim(p.m), to_dim(p.n),
                 to_dim(p.k), 1.0f, a, to_dim(p.transposed_a ? p.m : p.k), b,
                 to_dim(p.transposed_b ? p.k : p.n), 0.0f, c, to_dim(p.n));
    };
  using dnnl::memory;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const memory::desc left({to_dim(p.m), to_dim(p.k)}, memory::data_type::f32, memory::format_tag::ab);
  const memory::desc plain({to_dim(p.k), to_dim(p.n)}, memory::data_type::f32, memory::format_tag::ab);
  const memory::desc any({to_dim(p.k), to_dim(p.n)}, memory::data_type::f32, memory::format_tag::any);
  const memory::desc result({to_dim(p.m), to_dim(p.n)}, memory::data_type::f32, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(left, any, result), engine);
  dnnl::stream stream(engine);
  memory given(plain, engine, const_cast<float*>(b)), weights(description.weights_desc(), engine);
  dnnl::reorder(given, weights).execute(stream, given, weights);
  stream.wait();
  const std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, memory(left, engine, const_cast<float*>(a))},
                                                  {DNNL_ARG_WEIGHTS, weights},
                                                  {DNNL_ARG_DST, memory(result, engine, c)}};
  return [matmul = dnnl::matmul(description), stream, arguments]() mutable {
    matmul.execute(stream, arguments);
    stream.wait();
  };
}
#endif

}  // namespace

std::string Problem::name() const {
  return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + " " +
         (transposed_a ? "T" : "N") + (transposed_b ? "T" : "N") + (packed ? " packed" : "");
}

std::vector<Peer> find_peers() {
  std::vector<Peer> peers;
  add_blas(peers, "OpenBLAS",
           load({"/usr/lib/x86_64-linux-gnu/openblas-serial/libopenblas.so.0", "libopenblas.so.0"}));
  add_blas(peers, "BLIS", load({"/usr/lib/x86_64-linux-gnu/blis-serial/libblis.so.4", "libblis.so.4"}));
#ifdef TELOS_HAVE_DNNL
  peers.push_back({"oneDNN", prepare_dnnl});
#endif
  return peers;
}

}  // namespace telos::bench
