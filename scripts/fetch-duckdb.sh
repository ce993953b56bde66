#!/bin/sh
# Fetches the prebuilt libduckdb that the `duckdb` crate links, out of DuckDB's own npm package, pinned by hash.
# Prints the folder that holds the library and nothing else. Compiling DuckDB from source takes over half an
# hour on two cores; that stays possible with `cargo build --features bundled`.
#
# The folder is outside target/, because a changed DUCKDB_LIB_DIR rebuilds everything that links DuckDB.
set -eu

version=1.5.5-r.5
case "$(uname -s)-$(uname -m)" in
    Linux-x86_64)
        platform=linux-x64 lib=libduckdb.so
        sha512=902caae815e19fa4177f017cc957552ab8924873feadf556709e7a706f2a67394e669c72bd3e561a6ea332c871838762b4b94eb07b0837f0f8ed162b7235ee1d ;;
    Linux-aarch64)
        platform=linux-arm64 lib=libduckdb.so
        sha512=09a7c7d8022f5eda700f29c6dca07fe2e10e1d11a516807b6ae091308c07dc128d2286ec00d5792d2a43277b5fc9108522c2ba7bc013d5eb1e5959eed83bf773 ;;
    Darwin-x86_64)
        platform=darwin-x64 lib=libduckdb.dylib
        sha512=acdd0a8d7d77330550e55e6e7f292896dcbfb5fe1269a7cea4659c500d427a07fdf233de45db09b0413520c5e7f27deee96bcc4991152661c9de66b81ebed5ce ;;
    Darwin-arm64)
        platform=darwin-arm64 lib=libduckdb.dylib
        sha512=58975e2d3172e29460eb4ae46e9f6c9ad94fd62210f04aed2099314bed8b42d335659312072c96fb758fa4da0a7bb2303ed565d9f2e53f0eed0e6416e19f7be2 ;;
    *)
        echo "fetch-duckdb: no prebuilt library for $(uname -s) $(uname -m); build with --features bundled" >&2
        exit 1
        ;;
esac

cache=${JITSCAN_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jitscan-build}
dir=$cache/libduckdb-$version-$platform
if [ -f "$dir/$lib" ]; then
    echo "$dir"
    exit 0
fi

command -v npm >/dev/null 2>&1 || {
    echo "fetch-duckdb: npm is needed to fetch the prebuilt libduckdb; install it, set DUCKDB_LIB_DIR to a folder with DuckDB 1.5.5's library, or build with --features bundled" >&2
    exit 1
}
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "@duckdb/node-bindings-$platform@$version" >/dev/null) || {
    echo "fetch-duckdb: npm could not fetch @duckdb/node-bindings-$platform@$version" >&2
    exit 1
}
archive=$(ls "$work"/*.tgz)
if command -v sha512sum >/dev/null 2>&1; then
    got=$(sha512sum "$archive" | cut -d ' ' -f 1)
else
    got=$(shasum -a 512 "$archive" | cut -d ' ' -f 1)
fi
if [ "$got" != "$sha512" ]; then
    echo "fetch-duckdb: $archive has sha512 $got, expected $sha512" >&2
    exit 1
fi
tar -xzf "$archive" -C "$work"
# A rename publishes the folder whole; where somebody else was faster, theirs is as good.
if [ ! -d "$dir" ]; then
    mv "$work/package" "$dir"
fi
echo "$dir"
