// A folder with one sub-folder of pictures for each class.
#ifndef LATHE_DATA_IMAGE_FOLDER_H_
#define LATHE_DATA_IMAGE_FOLDER_H_

#include <string>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace lathe {

// Reads the .jpg, .jpeg and .png files of each sub-folder, both in
// alphabetical order, as input "x", uint8 [N, 3, height, width] RGB. Files of
// other kinds and hidden entries are left out.
//
// Errors, each naming the file or folder:
//   NotFound - the folder, or the file of class indices.
//   InvalidArgument - no sub-folder, a sub-folder without pictures or without
//     a class index, a picture that DecodeImage refuses, pictures of different
//     sizes after resizing and cropping, more than kMostDatasetBytes.
absl::StatusOr<Dataset> ReadImageFolder(const std::string& path,
                                        const ReadOptions& options);

}  // namespace lathe

#endif  // LATHE_DATA_IMAGE_FOLDER_H_
