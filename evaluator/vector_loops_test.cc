#include "evaluator/vector_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "compressor/reference_ops.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Normal(int64_t count, float deviation, int seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<double> SoftmaxOf(const float* row, int64_t size) {
  const double most = *std::max_element(row, row + size);
  std::vector<double> values;
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    values.push_back(std::exp(row[i] - most));
    sum += values.back();
  }
  for (double& value : values) value /= sum;
  return values;
}

TEST(SoftmaxRows, IsItsFormulaForRowsOfEveryLength) {
  for (const int64_t size : {1, 2, 10, 15, 16, 17, 31, 33, 256, 1000}) {
    for (const float deviation : {0.1f, 1.0f, 10.0f, 40.0f}) {
      const int64_t rows = 37;
      const std::vector<float> in =
          Normal(rows * size, deviation, static_cast<int>(size));
      std::vector<float> out(in.size());
      SoftmaxRows(in.data(), rows, size, out.data());
      std::vector<float> in_place = in;
      SoftmaxRows(in_place.data(), rows, size, in_place.data());
      EXPECT_EQ(out, in_place);
      for (int64_t row = 0; row < rows; ++row) {
        const auto expected = SoftmaxOf(&in[row * size], size);
        for (int64_t i = 0; i < size; ++i) {
          // Half a step of the difference to the largest is rounded away,
          // and exp and the sum have errors; less than exp(-87) is 0.
          const double distance = -std::log(expected[i] + 1e-300);
          EXPECT_NEAR(out[row * size + i], expected[i],
                      (1e-6 + 1.2e-7 * distance) * expected[i] + 1e-37)
              << size << " " << deviation << " " << in[row * size + i];
        }
      }
    }
  }
}

TEST(SoftmaxRows, TakesMaskedNumbersForNothing) {
  std::vector<float> row(20, -kInfinity);
  row[3] = row[17] = 5;
  SoftmaxRows(row.data(), 1, 20, row.data());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(row[i], i == 3 || i == 17 ? 0.5f : 0);
}

TEST(SoftmaxRows, HidesNoBrokenNumbers) {
  for (const float broken :
       {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
    for (const int at : {0, 15, 16, 19}) {
      std::vector<float> row(20, 1);
      row[at] = broken;
      SoftmaxRows(row.data(), 1, 20, row.data());
      EXPECT_TRUE(std::isnan(row[at])) << broken << " at " << at;
    }
  }
  std::vector<float> masked(5, -kInfinity);
  SoftmaxRows(masked.data(), 1, 5, masked.data());
  EXPECT_TRUE(std::isnan(masked[0]));
}

TEST(LevelsChannelsLast, RoundsAsTheGridDoes) {
  const ActivationGrid grids[] = {
      {true, 0.02f, 0}, {false, 0.05f, 0}, {false, 0.013f, 128}, {true, 3, 7}};
  for (const ActivationGrid& grid : grids) {
    for (const int64_t channels : {1, 2, 3, 4, 16}) {
      for (const int64_t pixels : {1, 15, 63, 64, 65, 200}) {
        std::vector<float> in = Normal(2 * channels * pixels, 2, 5);
        in[0] = std::numeric_limits<float>::quiet_NaN();
        if (in.size() > 4) {
          in[1] = kInfinity;
          in[2] = -kInfinity;
          in[3] = 2.5f * grid.scale;  // Halves go to the even neighbour.
        }
        std::vector<char> out(in.size());
        LevelsChannelsLast(
            in.data(), 2, channels, pixels,
            {grid.scale, grid.zero_point, grid.is_signed ? -128 : 0},
            out.data());
        for (int64_t n = 0; n < 2; ++n) {
          for (int64_t c = 0; c < channels; ++c) {
            for (int64_t p = 0; p < pixels; ++p) {
              const char byte = out[(n * pixels + p) * channels + c];
              const int level = grid.is_signed ? static_cast<int8_t>(byte)
                                               : static_cast<uint8_t>(byte);
              EXPECT_EQ(
                  grid.scale * static_cast<float>(level - grid.zero_point),
                  ApplyGrid(grid, in[(n * channels + c) * pixels + p]));
            }
          }
        }
      }
    }
  }
}

TEST(ConvertNumbers, GoesBetweenFloatsAndGridsInRunsOfEveryLength) {
  const ActivationGrid grids[] = {
      {true, 0.02f, 0}, {false, 0.05f, 17}, {false, 0.013f, 128}, {true, 3, 7}};
  const auto bytes_of = [](const ActivationGrid& grid) {
    return ByteGrid{grid.scale, grid.zero_point, grid.is_signed ? -128 : 0};
  };
  for (const int64_t size : {1, 15, 16, 17, 100, 40000}) {
    const std::vector<float> numbers = Normal(size, 2, 3);
    const char* in = reinterpret_cast<const char*>(numbers.data());
    for (const ActivationGrid& from : grids) {
      std::vector<char> levels(size);
      std::vector<float> back(size);
      ConvertNumbers(in, std::nullopt, size, bytes_of(from), levels.data());
      ConvertNumbers(levels.data(), bytes_of(from), size, std::nullopt,
                     reinterpret_cast<char*>(back.data()));
      for (int64_t i = 0; i < size; ++i) {
        ASSERT_EQ(back[i], ApplyGrid(from, numbers[i])) << size << " " << i;
      }
      for (const ActivationGrid& to : grids) {
        std::vector<char> direct(size), by_way_of_floats(size);
        ConvertNumbers(levels.data(), bytes_of(from), size, bytes_of(to),
                       direct.data());
        ConvertNumbers(reinterpret_cast<const char*>(back.data()), std::nullopt,
                       size, bytes_of(to), by_way_of_floats.data());
        EXPECT_EQ(direct, by_way_of_floats);
      }
    }
  }
}

}  // namespace
}  // namespace lathe
