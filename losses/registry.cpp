// losses/registry.cpp
