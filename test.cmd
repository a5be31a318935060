@echo off
rem Builds everything and runs all tests on the CPU device and on the Vulkan devices of this machine.
setlocal
where dotnet >nul 2>nul || (echo ldlvk: the .NET 10 SDK is missing. Install it from Microsoft's .NET site and run this again. 1>&2 & exit /b 2)
cd /d "%~dp0"
dotnet test LdlVk.sln -c Release --nologo %*
exit /b %ERRORLEVEL%
