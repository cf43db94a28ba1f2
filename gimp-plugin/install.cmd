@echo off
rem Puts the plug-in that lies beside this file where every GIMP of this user looks for it, on Windows.
rem install.cmd /uninstall takes it away again. Everywhere else: install.
setlocal
set found=
set failed=
for %%v in (2.10 3.0 3.2) do call :gimp %%v %1
if not defined found (
    echo no GIMP 2.10, 3.0 or 3.2 found: install one, or start it once>&2
    exit /b 1
)
if defined failed (
    echo the plug-in cannot be replaced: close GIMP first, and unpack all of the archive>&2
    exit /b 1
)
if /i not "%~1"=="/uninstall" echo start GIMP anew, open a photo, and choose Filters, Restore
exit /b 0

:gimp
if not exist "%APPDATA%\GIMP\%1" exit /b
set found=1
rem GIMP wants the program in a folder of the same name.
set folder=%APPDATA%\GIMP\%1\plug-ins\dino-ir-restore
if exist "%folder%" rd /s /q "%folder%"
if exist "%folder%\dino-ir-restore.exe" set failed=1
if /i "%~2"=="/uninstall" exit /b
md "%folder%\help"
copy /y "%~dp0dino-ir-restore.exe" "%folder%" >nul
xcopy /e /i /q /y "%~dp0help" "%folder%\help" >nul
if not exist "%folder%\dino-ir-restore.exe" set failed=1
if not defined failed echo installed in "%folder%"
exit /b
