@echo off
rem Builds everything and runs all tests on the CPU device and on the devices of this machine. It installs nothing.
rem   test [--quick] [--no-install] [ARG...]
rem --quick runs what needs neither a GPU nor a browser. Further arguments go to dotnet test.
setlocal
set DOTNET_NOLOGO=1
set DOTNET_CLI_TELEMETRY_OPTOUT=1
set RestoreLockedMode=true
set ARGUMENTS=
:next
if "%~1"=="" goto run
if "%~1"=="--quick" (
    set VK_DRIVER_FILES=C:\nonexistent.json
    set VK_ICD_FILENAMES=C:\nonexistent.json
    set LDLVK_NO_BROWSER=1
    set QUICK=--filter "Duration!=Long"
) else if not "%~1"=="--no-install" set ARGUMENTS=%ARGUMENTS% %1
shift
goto next
:run
where dotnet >nul 2>nul || (echo ldlvk: the .NET 10 SDK is missing. Install it from Microsoft's .NET site and run this again. 1>&2 & exit /b 2)
cd /d "%~dp0"
dotnet build LdlVk.sln -c Release -v quiet --nologo -clp:NoSummary || exit /b 1
dotnet test LdlVk.sln -c Release --no-build --nologo %QUICK%%ARGUMENTS%
exit /b %ERRORLEVEL%
