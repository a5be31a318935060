@echo off
rem Builds what is out of date and runs the command line.
setlocal
set DOTNET_NOLOGO=1
set DOTNET_CLI_TELEMETRY_OPTOUT=1
set RestoreLockedMode=true
where dotnet >nul 2>nul || (echo ldlvk: the .NET 10 SDK is missing. Install it from Microsoft's .NET site and run this again. 1>&2 & exit /b 2)
dotnet build "%~dp0src\LdlVk.Cli" -c Release -v quiet --nologo -clp:NoSummary 1>&2 || exit /b 1
dotnet "%~dp0src\LdlVk.Cli\bin\Release\net10.0\LdlVk.Cli.dll" %*
exit /b %ERRORLEVEL%
