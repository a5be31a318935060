@echo off
rem Builds everything and runs all tests on the CPU device and on the devices of this machine. Further arguments go to dotnet test.
setlocal
set DOTNET_NOLOGO=1
set DOTNET_CLI_TELEMETRY_OPTOUT=1
where dotnet >nul 2>nul || (echo ldlvk: the .NET 10 SDK is missing. Install it from Microsoft's .NET site and run this again. 1>&2 & exit /b 2)
cd /d "%~dp0"
dotnet build LdlVk.sln -c Release -v quiet --nologo -clp:NoSummary || exit /b 1
dotnet test LdlVk.sln -c Release --no-build --nologo %*
exit /b %ERRORLEVEL%
