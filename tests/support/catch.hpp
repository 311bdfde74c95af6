#pragma once
// torch's logging defines CHECK and LOG; Catch2's win. Must be the last include of a test file.
#undef CHECK
#undef LOG
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
