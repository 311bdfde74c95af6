// src/cli/commands.cpp
