# Builds the addon with node-gyp from the same source list as CMakeLists.txt. Run it through
# "npm run build:gyp": node-gyp reads binding.gyp and no other name, and a file of that name in the
# package's root would make npm run node-gyp by itself at every install.
{
  "targets": [
    {
      # The link is made by scripts/build-gyp.mjs.
      "target_name": "lmdb",
      "type": "static_library",
      "sources": ["lmdb/mdb.c", "lmdb/midl.c"],
      "defines": ["MDB_USE_ROBUST=1", "MDB_MAXKEYSIZE=0"],
      "cflags": ["-w", "-UNDEBUG", "-fvisibility=hidden"],
      "direct_dependent_settings": {"cflags": ["-isystem", "<(module_root_dir)/lmdb"]}
    },
    {
      "target_name": "ringleader",
      "dependencies": ["lmdb"],
      "sources": ["<!@(node scripts/list-sources.mjs)"],
      "include_dirs": [
        "native",
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": [
        "-std=c++20",
        "-fno-exceptions",
        "-fno-rtti",
        "-fvisibility=hidden",
        "-fvisibility-inlines-hidden",
        "-Wall",
        "-Wextra"
      ],
      "ldflags": ["-pthread", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections"]
    }
  ]
}
