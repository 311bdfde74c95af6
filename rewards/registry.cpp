// rewards/registry.cpp
