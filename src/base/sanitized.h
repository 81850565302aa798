#pragma once

// TELOS_SANITIZED: built with AddressSanitizer or ThreadSanitizer, by either compiler.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TELOS_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TELOS_SANITIZED
#endif
