@echo off
rem Builds everything and runs all tests on the CPU device and on the Vulkan devices of this machine.
setlocal
where dotnet >nul 2>nul || (echo ldlvk: the .NET 10 SDK is missing. Install it from Microsoft's .NET site and run this again. 1>&2 & exit /b 2)
where glslc >nul 2>nul || if not exist "%VULKAN_SDK%\Bin\glslc.exe" (echo ldlvk: glslc, the GLSL compiler, is missing. Install the Vulkan SDK and run this again. 1>&2 & exit /b 2)
cd /d "%~dp0"
dotnet test LdlVk.sln -c Release --nologo %*
exit /b %ERRORLEVEL%
